"""From a request to an OctoJob: pure, so that the same request gives the same object."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from octo_api.jobs.schemas import JobOptions
from octo_core.db.idempotency import Claim
from octo_core.domain import names
from octo_core.domain.errors import InvalidError
from octo_core.domain.text import has_nul
from octo_core.kube.resources import OCTOJOBS

_NOT_OPTIONS = {"namespace", "provider"}


def key_hash(tenant: str, idempotency_key: str) -> str:
    """What is kept of an Idempotency-Key."""
    return hashlib.sha256(f"{tenant}\0{idempotency_key}".encode()).hexdigest()


def fingerprint(provider: str, namespace: str, options: dict[str, Any]) -> str:
    """What tells one request from another; the order of its fields and its white space do not."""
    canonical = json.dumps(
        {"provider": provider, "namespace": namespace, "options": options}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def options_of(request: JobOptions) -> dict[str, Any]:
    """What the user said, and no defaults: what is absent may come from the provider.

    Raises InvalidError for a NUL character, which Postgres cannot hold.
    """
    options = request.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude_none=True, exclude=_NOT_OPTIONS
    )
    if has_nul(options):
        raise InvalidError("text may not contain the NUL character")
    return options


def claim_of(
    *,
    tenant: str,
    idempotency_key: str,
    provider: str,
    namespace: str,
    options: dict[str, Any],
    now: datetime,
    ttl: timedelta,
) -> Claim:
    """The claim that stands for a request, with the OctoJob it is to become."""
    hashed = key_hash(tenant, idempotency_key)
    print_ = fingerprint(provider, namespace, options)
    name = names.keyed_job_name(tenant, idempotency_key)
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": OCTOJOBS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_PROVIDER: provider},
            # Set from the start, it saves the controller a write.
            "finalizers": [names.ARCHIVE_FINALIZER],
        },
        "spec": {
            **options,
            "providerRef": {"name": provider},
            "requestedBy": tenant,
            "idempotency": {"keyHash": hashed, "fingerprint": print_},
        },
    }
    return Claim(
        tenant=tenant,
        key_hash=hashed,
        fingerprint=print_,
        namespace=namespace,
        job_name=name,
        manifest=manifest,
        created_at=now,
        expires_at=now + ttl,
    )
