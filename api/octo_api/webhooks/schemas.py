"""Documents of the webhook routes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from octo_api.jobs.schemas import DNS_LABEL, DNS_SUBDOMAIN
from octo_core.db.webhook_deliveries import DeliveryState
from octo_core.domain.events import EventType
from octo_core.domain.model import Model, Time


def _printable(text: str) -> str:
    if not all(character.isprintable() for character in text):
        raise ValueError("may not contain control characters")
    return text


def _url(text: str) -> str:
    """Refuse what could be read in two ways, and credentials, which would be shown to whoever reads the webhook."""
    if not text.isascii() or any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("may contain printable ASCII only")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("has to be https:// and a host")
    if parts.username is not None or parts.password is not None or "\\" in text:
        raise ValueError("may not contain credentials or a backslash")
    if parts.fragment:
        raise ValueError("may not have a fragment")
    return text


Url = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_url)]
Name = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
Description = Annotated[str, Field(max_length=1024), AfterValidator(_printable)]
Providers = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_SUBDOMAIN)], ...],
    Field(max_length=100, description="Only events of these; empty means all."),
]
Types = Annotated[
    tuple[EventType, ...],
    Field(max_length=50, description="Only events of these types; empty means all of runs."),
]
JobId = Annotated[
    str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9-]+$", description="Only events of this run.")
]


class WebhookRequest(Model):
    """Body of ``POST /v1/webhooks``."""

    name: Name = Field(description="Unique in its namespace: asked again, the answer is 409.")
    namespace: Namespace | None = None
    url: Url
    description: Description = ""
    types: Types = ()
    providers: Providers = ()
    job_id: JobId | None = None


class WebhookPatch(Model):
    """Body of ``PATCH /v1/webhooks/{id}``; what is left out stays."""

    url: Url | None = None
    description: Description | None = None
    types: Types | None = None
    providers: Providers | None = None
    enabled: bool | None = Field(default=None, description="True takes up again what was disabled, with what waits.")


class Webhook(Model):
    """A subscription to events."""

    id: str
    namespace: str
    name: str
    url: str
    description: str
    types: tuple[EventType, ...]
    providers: tuple[str, ...]
    job_id: str | None
    enabled: bool
    disabled_at: Time | None
    disabled_reason: str | None = Field(
        description="Requested, EndpointFailing (nothing was taken for days) or EndpointGone (it answered 410)."
    )
    failing_since: Time | None = Field(description="First failure after the last success.")
    previous_secret_until: Time | None = Field(description="Until then messages are signed with the old secret too.")
    created_at: Time
    created_by: str


class WebhookWithSecret(Webhook):
    """A subscription, with the secret that signs its messages. Shown this once."""

    secret: str


class WebhookPage(Model):
    """Webhooks by namespace and name."""

    items: tuple[Webhook, ...]
    next_cursor: str | None = Field(description="None on the last page.")


class RotateSecretRequest(Model):
    """Body of ``POST /v1/webhooks/{id}:rotate-secret``."""

    overlap_seconds: int = Field(
        default=86_400, ge=0, le=7 * 86_400, description="How long messages are signed with the old secret too."
    )


class Delivery(Model):
    """A message to a webhook, and how its last try ended."""

    id: str = Field(description="The `webhook-id` of all its tries.")
    event_id: int | None = Field(description="`id` of the event in `/v1/events`; None for a test.")
    type: str
    state: DeliveryState
    attempts: int = Field(description="Since it was made, or sent again.")
    created_at: Time
    last_attempt_at: Time | None
    next_attempt_at: Time | None
    response_status: int | None
    response_body: str | None = Field(description="At most the first 1024 bytes.")
    error: str | None
    duration_milliseconds: int | None


class DeliveryPage(Model):
    """Messages, the newest first."""

    items: tuple[Delivery, ...]
    next_cursor: str | None = Field(description="None on the last page.")
