"""Settings of who gets in and what they may do."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator

from octo_api.auth.bindings import Binding
from octo_core.domain.names import REPORT_AUDIENCE
from octo_core.settings import DatabaseSettings


class KeySettings(DatabaseSettings):
    """For what makes or checks API keys."""

    api_key_pepper: SecretStr = Field(min_length=32, description="Secret under which API keys are hashed.")
    api_key_pepper_previous: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="The pepper before, still accepted: a key that is used is hashed anew under the present one.",
    )

    @property
    def peppers(self) -> tuple[str, ...]:
        """The present pepper first."""
        given = (self.api_key_pepper, self.api_key_pepper_previous)
        return tuple(pepper.get_secret_value() for pepper in given if pepper is not None)


class AuthSettings(KeySettings):
    """For what checks the credentials of requests."""

    token_signing_key: SecretStr = Field(
        min_length=32, description="Secret under which the keys that sign tokens are kept; also signs cursors."
    )
    token_ttl_seconds: int = Field(default=900, ge=60, le=86_400)
    session_seconds: int = Field(
        default=43_200, ge=60, le=30 * 86_400, description="How long a login lasts at most, renewed again and again."
    )
    token_key_rotation_days: float = Field(default=30, ge=1, description="Age at which a signing key is replaced.")
    bootstrap_api_key: SecretStr | None = Field(
        default=None, description="A first API key with every right, made at start; octo_<12 of a-z2-7>_<43 base64url>."
    )
    credential_cache_seconds: float = Field(
        default=15, ge=0, le=60, description="How long an API key that was found good is not looked up again."
    )
    failed_logins_per_minute: int = Field(
        default=30, ge=0, description="From one client address, in each replica; 0 for no limit."
    )
    service_account_audience: str = Field(
        default="octo", min_length=1, description="Audience that a ServiceAccount's token has to be made for."
    )
    auth_bindings: tuple[Binding, ...] = Field(
        default=(), description="What ServiceAccounts and OIDC users may do, if the cluster is not asked."
    )
    subject_access_review: bool = Field(
        default=False, description="Ask the cluster's RBAC what ServiceAccounts and OIDC users may do."
    )
    oidc_issuer: str | None = Field(default=None, pattern=r"^https?://", description="`iss` of tokens to accept.")
    oidc_audience: str | None = Field(default=None, min_length=1, description="`aud` of tokens to accept.")
    oidc_jwks_url: str | None = Field(
        default=None, pattern=r"^https?://", description="Without it, what the issuer's discovery document names."
    )
    oidc_username_claim: str = Field(default="sub", min_length=1)
    oidc_groups_claim: str = Field(default="groups", min_length=1)
    oidc_prefix: str = Field(
        default="oidc:", min_length=1, description="Before user names and groups from OIDC, to tell them from others."
    )
    oidc_ca_file: str | None = Field(default=None, description="CA certificates of the issuer, as a PEM file.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.oidc_issuer is not None and self.oidc_audience is None:
            raise ValueError("oidc_issuer needs oidc_audience: a token for somebody else must not be accepted")
        if self.subject_access_review and self.auth_bindings:
            raise ValueError("auth_bindings and subject_access_review exclude each other")
        if self.service_account_audience == REPORT_AUDIENCE:
            raise ValueError(f"service_account_audience {REPORT_AUDIENCE} is that of runs' reports")
        return self

    @property
    def token_ttl(self) -> timedelta:
        """Life of a token from login."""
        return timedelta(seconds=self.token_ttl_seconds)

    @property
    def session(self) -> timedelta:
        """How long after login its token can be renewed."""
        return timedelta(seconds=self.session_seconds)

    @property
    def token_key_rotation(self) -> timedelta:
        """How long a key signs."""
        return timedelta(days=self.token_key_rotation_days)
