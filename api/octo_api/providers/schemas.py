"""Documents of the provider routes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from octo_api.etags import etag_of
from octo_api.jobs.labels import Labels
from octo_api.jobs.schemas import DNS_LABEL, DNS_SUBDOMAIN
from octo_core.crd.resources import Raw, parse_time
from octo_core.domain.model import Model, Time
from octo_core.domain.provider import OctoProviderSpec, OctoProviderStatus
from octo_core.domain.schedule import ScheduleStatus
from octo_core.domain.status import Condition


class ProviderUpdate(Model):
    """Body of ``PUT /v1/providers/{name}``: what a client may write of a provider."""

    labels: Labels = Field(default_factory=dict)
    spec: OctoProviderSpec


class ProviderRequest(ProviderUpdate):
    """Body of ``POST /v1/providers``."""

    name: str = Field(min_length=1, max_length=63, pattern=DNS_SUBDOMAIN)
    namespace: str | None = Field(
        default=None, min_length=1, max_length=63, pattern=DNS_LABEL, description="Default: the installation's own."
    )


class Provider(Model):
    """An OctoProvider. Secrets stand in it by reference only."""

    id: str = Field(description="Same as its name.")
    namespace: str
    name: str
    type: str = Field(description="`sftp`, or `container` for the user's own main logic.")
    created_at: Time
    last_success_at: Time | None
    last_job: str | None
    schedule: ScheduleStatus | None = Field(description="What became of its schedule so far; null without one.")
    conditions: tuple[Condition, ...]
    labels: dict[str, str]
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
        schedule=status.schedule,
        conditions=status.conditions,
        labels=meta.get("labels") or {},
        spec=spec,
    )


def provider_etag(raw: Raw) -> str:
    """The entity tag of a provider. Its status has no part in it: that changes with every run."""
    meta = raw["metadata"]
    return etag_of(meta["uid"], meta.get("labels") or {}, raw.get("spec", {}))
