"""Documents of Octo's kinds: raw objects of the Kubernetes API to models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from octo_core.domain.errors import InvalidError
from octo_core.domain.job import OctoJobSpec
from octo_core.domain.provider import OctoProviderSpec, OctoProviderStatus
from octo_core.domain.status import OctoJobStatus

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Meta:
    """The parts of ObjectMeta that Octo goes by."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    creation_timestamp: datetime
    deletion_timestamp: datetime | None
    finalizers: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class OctoJob:
    """An OctoJob as the API server holds it."""

    meta: Meta
    spec: OctoJobSpec
    status: OctoJobStatus


@dataclass(frozen=True, slots=True)
class OctoProvider:
    """An OctoProvider as the API server holds it."""

    meta: Meta
    spec: OctoProviderSpec
    status: OctoProviderStatus


def parse_meta(raw: Raw) -> Meta:
    """ObjectMeta of any object that has been stored by an API server."""
    meta = raw["metadata"]
    deletion = meta.get("deletionTimestamp")
    return Meta(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        generation=meta.get("generation", 0),
        creation_timestamp=parse_time(meta["creationTimestamp"]),
        deletion_timestamp=parse_time(deletion) if deletion else None,
        finalizers=tuple(meta.get("finalizers", ())),
        labels=dict(meta.get("labels", {})),
    )


def parse_time(value: str) -> datetime:
    """metav1.Time or MicroTime, always aware."""
    return datetime.fromisoformat(value)


def parse_job(raw: Raw) -> OctoJob:
    """An OctoJob; fields of a newer Octo are ignored. Raises InvalidError if it breaks its schema."""
    try:
        return OctoJob(
            meta=parse_meta(raw),
            spec=OctoJobSpec.model_validate(raw.get("spec", {}), extra="ignore"),
            status=OctoJobStatus.model_validate(raw.get("status") or {}, extra="ignore"),
        )
    except ValidationError as error:
        raise InvalidError(f"OctoJob does not match its schema: {error}") from error


def parse_provider(raw: Raw) -> OctoProvider:
    """An OctoProvider; fields of a newer Octo are ignored. Raises InvalidError if it breaks its schema."""
    try:
        return OctoProvider(
            meta=parse_meta(raw),
            spec=OctoProviderSpec.model_validate(raw.get("spec", {}), extra="ignore"),
            status=OctoProviderStatus.model_validate(raw.get("status") or {}, extra="ignore"),
        )
    except ValidationError as error:
        raise InvalidError(f"OctoProvider does not match its schema: {error}") from error
