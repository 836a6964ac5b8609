"""Settings of webhooks."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Self

from pydantic import Field, SecretStr, model_validator

from octo_core.settings import Settings

Network = IPv4Network | IPv6Network


class WebhookSettings(Settings):
    """Where webhooks may lead, and how patient Octo is with them."""

    webhook_signing_key: SecretStr | None = Field(
        default=None, min_length=32, description="Secret from which those of webhooks are derived; else the pepper."
    )
    webhook_signing_key_previous: SecretStr | None = Field(
        default=None, min_length=32, description="The one before: messages carry the signatures of both."
    )
    webhook_allowed_networks: tuple[Network, ...] = Field(
        default=(),
        description="Networks that webhooks may reach although they are not public, such as 10.1.0.0/16; a JSON list.",
    )
    webhook_denied_networks: tuple[Network, ...] = Field(
        default=(),
        description="Networks that they may not reach although they are public, such as a cluster's own; a JSON list.",
    )
    webhook_allow_http: bool = Field(default=False, description="Take http:// besides https://.")
    webhook_ca_file: str | None = Field(
        default=None, description="PEM file of authorities to trust instead of the system's."
    )
    webhook_timeout_seconds: float = Field(default=15.0, gt=0, le=30, description="For a whole delivery.")
    webhook_concurrency: int = Field(default=16, ge=1, le=200, description="Deliveries under way in one process.")
    webhook_retention_seconds: int = Field(
        default=30 * 86_400, ge=3600, description="How long ended deliveries are kept."
    )
    webhook_disable_after_seconds: int = Field(
        default=5 * 86_400, ge=0, description="A webhook that took nothing for so long is disabled."
    )
    webhooks_per_namespace: int = Field(default=100, ge=0)

    @model_validator(mode="after")
    def _check_signing_keys(self) -> Self:
        if self.webhook_signing_key is None and self.webhook_signing_key_previous is not None:
            raise ValueError("webhook_signing_key_previous needs webhook_signing_key")
        return self

    @property
    def webhook_lease(self) -> timedelta:
        """How long a process has for a delivery that it took, answer and Postgres included."""
        return timedelta(seconds=2 * self.webhook_timeout_seconds + 10)

    @property
    def webhook_retention(self) -> timedelta:
        """How long ended deliveries are kept."""
        return timedelta(seconds=self.webhook_retention_seconds)

    @property
    def webhook_disable_after(self) -> timedelta:
        """How long an endpoint may fail."""
        return timedelta(seconds=self.webhook_disable_after_seconds)
