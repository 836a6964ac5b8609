"""Documents of the provider routes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from octo_core.crd.resources import Raw, parse_time
from octo_core.domain.model import Model, Time
from octo_core.domain.provider import OctoProviderStatus
from octo_core.domain.status import Condition


class Provider(Model):
    """An OctoProvider. Secrets stand in it by reference only."""

    id: str = Field(description="Same as its name.")
    namespace: str
    name: str
    type: str = Field(description="`sftp`, or `container` for the user's own main logic.")
    created_at: Time
    last_success_at: Time | None
    last_job: str | None
    conditions: tuple[Condition, ...]
    spec: dict[str, Any]


class ProviderPage(Model):
    """A page of providers by name."""

    items: tuple[Provider, ...]
    next_cursor: str | None = Field(description="None on the last page.")


def provider_of(raw: Raw) -> Provider:
    """The representation of an OctoProvider."""
    meta, spec = raw["metadata"], raw.get("spec", {})
    status = OctoProviderStatus.model_validate(raw.get("status") or {}, extra="ignore")
    return Provider(
        id=meta["name"],
        namespace=meta["namespace"],
        name=meta["name"],
        type="container" if "container" in spec else next(iter(spec.get("source", {})), "unknown"),
        created_at=parse_time(meta["creationTimestamp"]),
        last_success_at=status.last_success_time,
        last_job=status.last_job,
        conditions=status.conditions,
        spec=spec,
    )
