"""Asks the cluster what an identity may do, so that its rights over REST are those it has with ``kubectl``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from octo_api.auth.caller import ANY, Scope
from octo_api.auth.identity import Identity
from octo_api.auth.memory import Memory
from octo_api.errors import acting_on_cluster
from octo_core.domain.names import GROUP
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import SUBJECT_ACCESS_REVIEWS

_REMEMBERED = timedelta(seconds=30)


class Verb(NamedTuple):
    """A right in the cluster, as RBAC names it."""

    verb: str
    resource: str
    subresource: str = ""
    group: str = GROUP


# audits, apikeys and webhooks are no objects in the cluster; a Role may name them all the same.
NEEDED: Mapping[str, tuple[Verb, ...]] = {
    ANY: (Verb("*", "*"),),
    Scope.JOBS_READ: (Verb("list", "octojobs"),),
    Scope.JOBS_CREATE: (Verb("create", "octojobs"),),
    Scope.JOBS_UPDATE: (Verb("patch", "octojobs"),),
    Scope.JOBS_CANCEL: (Verb("patch", "octojobs"),),
    Scope.JOBS_DELETE: (Verb("delete", "octojobs"),),
    Scope.LOGS_READ: (Verb("get", "pods", "log", group=""),),
    Scope.PROVIDERS_READ: (Verb("list", "octoproviders"),),
    Scope.PROVIDERS_WRITE: tuple(Verb(verb, "octoproviders") for verb in ("create", "update", "delete")),
    Scope.PROVIDERS_VERIFY: (Verb("create", "octoproviders", "verify"),),
    Scope.WEBHOOKS_READ: (Verb("list", "webhooks"),),
    Scope.WEBHOOKS_WRITE: tuple(Verb(verb, "webhooks") for verb in ("create", "update", "delete")),
    Scope.AUDIT_READ: (Verb("list", "audits"),),
    Scope.KEYS_READ: (Verb("list", "apikeys"),),
    Scope.KEYS_WRITE: tuple(Verb(verb, "apikeys") for verb in ("create", "update", "delete")),
}
"""What one has to be allowed in the cluster to have the scope over REST."""


class AccessReviewRights:
    """Decides by SubjectAccessReviews; answers are remembered for half a minute."""

    def __init__(self, kube: KubeClient, *, namespace: str, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._namespace = namespace
        self._remembered: Memory[tuple[Identity, str, str], bool] = Memory(clock=clock, life=_REMEMBERED)

    async def namespaces(self, identity: Identity, scope: str) -> frozenset[str]:
        """See ``Rights``. Asks of the whole cluster and of the namespace that is served.

        Raises ClusterUnavailableError.
        """
        everywhere, here = await asyncio.gather(
            self._allowed(identity, scope, ""), self._allowed(identity, scope, self._namespace)
        )
        if everywhere:
            return frozenset({ANY})
        return frozenset({self._namespace}) if here else frozenset()

    async def _allowed(self, identity: Identity, scope: str, namespace: str) -> bool:
        key = (identity, scope, namespace)
        known = self._remembered.get(key)
        if known is None:
            answers = await asyncio.gather(*(self._review(identity, verb, namespace) for verb in NEEDED[scope]))
            known = all(answers)
            self._remembered.put(key, known)
        return known

    async def _review(self, identity: Identity, verb: Verb, namespace: str) -> bool:
        request = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": SUBJECT_ACCESS_REVIEWS.kind,
            "spec": {
                "user": identity.username,
                "uid": identity.uid,
                "groups": sorted(identity.groups),
                "resourceAttributes": {
                    "group": verb.group,
                    "resource": verb.resource,
                    "subresource": verb.subresource,
                    "verb": verb.verb,
                    "namespace": namespace,
                },
            },
        }
        with acting_on_cluster():
            review = await self._kube.create(SUBJECT_ACCESS_REVIEWS, None, request)
        return review.get("status", {}).get("allowed") is True
