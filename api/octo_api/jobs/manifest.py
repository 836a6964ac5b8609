"""From a request to an OctoJob: pure, so that the same request gives the same object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from octo_api.jobs.labels import check_own
from octo_api.jobs.schemas import JobOptions
from octo_core.crd.resources import Raw
from octo_core.crd.scheduled import schedule_ref
from octo_core.db.idempotency import Claim
from octo_core.domain import names
from octo_core.domain.errors import InvalidError
from octo_core.domain.partitions import partition_labels
from octo_core.domain.text import has_nul
from octo_core.kube.resources import OCTOJOBS

_NOT_OPTIONS = {"namespace", "provider", "labels", "idempotency_key"}


@dataclass(frozen=True, slots=True)
class Order:
    """A run as it is asked for: what goes into its spec, its user's labels, and what tells it from another order."""

    provider: str
    namespace: str
    spec: dict[str, Any]
    labels: dict[str, str]
    fingerprint: str


def key_hash(tenant: str, idempotency_key: str) -> str:
    """What is kept of an Idempotency-Key."""
    return hashlib.sha256(f"{tenant}\0{idempotency_key}".encode()).hexdigest()


def fingerprint(**request: Any) -> str:
    """What tells one request from another (JSON values); the order of its fields and its white space do not."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def order_of(request: JobOptions, *, provider: str, namespace: str, labels: Mapping[str, str] | None = None) -> Order:
    """The order of a request. It holds what the user said and no defaults: what is absent may come from the provider.

    Raises InvalidError for a NUL character, which Postgres cannot hold, and for a label that is Octo's.
    """
    given = dict(labels or {})
    check_own(given)
    options = request.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude_none=True, exclude=_NOT_OPTIONS
    )
    if has_nul(options):
        raise InvalidError("text may not contain the NUL character")
    labelled = {"labels": given} if given else {}
    print_ = fingerprint(provider=provider, namespace=namespace, options=options, **labelled)
    return Order(provider, namespace, options, given, print_)


def by_schedule(order: Order, scheduled_time: datetime) -> Order:
    """The order as one of the provider's schedule, whose policy on overlaps then counts the run.

    The time does not tell it from another such order: asked for again under one key, it is the same. A plain run of
    the provider is not.
    """
    return replace(
        order,
        spec={**order.spec, "scheduleRef": schedule_ref(order.provider, scheduled_time)},
        fingerprint=fingerprint(bySchedule=order.fingerprint),
    )


def octojob(order: Order, *, name: str, requested_by: str, hashed_key: str) -> Raw:
    """The OctoJob to create."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": OCTOJOBS.kind,
        "metadata": {
            "name": name,
            "namespace": order.namespace,
            "labels": {
                **order.labels,
                names.LABEL_MANAGED_BY: names.MANAGED_BY,
                names.LABEL_PROVIDER: order.provider,
                **({names.LABEL_SCHEDULE: order.provider} if "scheduleRef" in order.spec else {}),
                **partition_labels(order.namespace, order.provider),
            },
            # Set from the start, it saves the controller a write.
            "finalizers": [names.ARCHIVE_FINALIZER],
        },
        "spec": {
            **order.spec,
            "providerRef": {"name": order.provider},
            "requestedBy": requested_by,
            "idempotency": {"keyHash": hashed_key, "fingerprint": order.fingerprint},
        },
    }


def claim_of(order: Order, *, tenant: str, idempotency_key: str, now: datetime, ttl: timedelta) -> Claim:
    """The claim that stands for an order, with the OctoJob it is to become."""
    hashed = key_hash(tenant, idempotency_key)
    name = names.keyed_job_name(tenant, idempotency_key)
    return Claim(
        tenant=tenant,
        key_hash=hashed,
        fingerprint=order.fingerprint,
        namespace=order.namespace,
        job_name=name,
        manifest=octojob(order, name=name, requested_by=tenant, hashed_key=hashed),
        created_at=now,
        expires_at=now + ttl,
    )
