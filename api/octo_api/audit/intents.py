"""What a request is about to do, committed before it does it: should the process be killed, ``repair`` sees to its row.

Each place that changes something says so right before: with the claim of a run, in the transaction that makes the
change, or else in a commit of its own. While Postgres is away nothing can be said, and the change is made all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from octo_api.context import RequestContext
from octo_api.metrics import Metrics
from octo_core.crd.resources import Raw
from octo_core.db import audit_intents
from octo_core.db.audit_intents import Intent
from octo_core.db.group_commit import GroupCommit
from octo_core.db.idempotency import Claim
from octo_core.db.session import AsyncSession
from octo_core.db.submissions import INTENT
from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.kube.resources import Resource

COMMITTED: Mapping[str, Any] = {"kind": "committed"}
"""Probe of a change that was made in the transaction of its intent: where there is one, there is the other."""


def of_claim(claim: Claim) -> dict[str, Any]:
    """Probe of a run that is to come of a claim."""
    return {"kind": "claim", "tenant": claim.tenant, "keyHash": claim.key_hash}


def of_object(kind: str, resource: Resource, namespace: str, name: str, **more: Any) -> dict[str, Any]:
    """Probe of a write to Kubernetes: ``kind`` is created, changed or deleted."""
    return {"kind": kind, "resource": resource.plural, "namespace": namespace, "name": name, **more}


def change_between(before: Raw, after: Raw) -> Raw:
    """The merge patch (RFC 7386) that makes one object of the other."""
    change: Raw = {key: None for key in before if key not in after}
    for key, value in after.items():
        known = before.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            inner = change_between(known, value)
            if inner:
                change[key] = inner
        elif key not in before or known != value:
            change[key] = value
    return change


class Intents:
    """Says what the request at hand is about to do. Nothing for what is not audited, or no request's doing."""

    def __init__(
        self, group: GroupCommit, *, clock: Callable[[], datetime], new_id: Callable[[], str], metrics: Metrics
    ) -> None:
        self._group = group
        self._clock = clock
        self._new_id = new_id
        self._metrics = metrics

    def make(
        self, probe: Mapping[str, Any], *, resource: str | None = None, namespace: str | None = None
    ) -> Intent | None:
        """An intent that somebody else writes; whoever does calls ``made`` when it is committed."""
        context = RequestContext.current()
        if context is None or not context.mutates:
            return None
        if context.intent is None:
            context.intent = self._new_id()
        context.parts += 1
        entry = {
            "actor": context.actor,
            "action": context.action or "unknown",
            "namespace": namespace or context.namespace,
            "resource": resource or context.resource,
            "request_id": context.request_id,
            "client": context.client,
            "details": context.details,
        }
        return Intent(context.intent, context.parts, self._clock(), entry, dict(probe))

    def made(self, intent: Intent | None) -> None:
        """It is committed: the row of the request takes it away."""
        context = RequestContext.current()
        if intent is not None and context is not None:
            context.intended = True

    async def note(
        self, probe: Mapping[str, Any], *, resource: str | None = None, namespace: str | None = None
    ) -> None:
        """Commit an intent, before what it is about is done. Never raises."""
        intent = self.make(probe, resource=resource, namespace=namespace)
        if intent is None:
            return
        try:
            await self._group.add(INTENT, intent)
        except DatabaseUnavailableError:
            self._metrics.audit_unannounced.inc()
        else:
            self.made(intent)

    async def within(self, session: AsyncSession, *, resource: str | None = None, namespace: str | None = None) -> None:
        """Write the intent in the transaction that makes the change."""
        intent = self.make(COMMITTED, resource=resource, namespace=namespace)
        if intent is not None:
            await audit_intents.add(session, (intent,))
