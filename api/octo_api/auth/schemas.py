"""Documents of the auth routes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from octo_api.auth.bindings import NamespaceName, ScopeName
from octo_core.db import api_keys
from octo_core.domain.model import Model, Time
from octo_core.domain.text import no_nul

Subject = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._@-]*[a-z0-9])?$", max_length=63)]
"""Without a colon, so that no key speaks for a ServiceAccount or an OIDC user."""

_MAX_OVERLAP = 30 * 86_400


class Token(Model):
    """A token to send as ``Authorization: Bearer``."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a scheme
    expires_in: int = Field(description="Seconds.")
    expires_at: Time
    session_ends_at: Time = Field(description="However often it is renewed, the token ends then.")


class CallerIdentity(Model):
    """What a credential stands for."""

    subject: str
    key_id: str | None = Field(description="Of the API key; None for a ServiceAccount or OIDC user.")
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...] = Field(description="`*` stands for all.")
    expires_at: Time | None


class JsonWebKey(Model):
    """A public Ed25519 key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class KeySet(Model):
    """A JSON Web Key Set."""

    keys: tuple[JsonWebKey, ...]


class KeyState(StrEnum):
    """Whether a key can be used."""

    ACTIVE = "Active"
    EXPIRED = "Expired"
    REVOKED = "Revoked"


class ApiKeyRequest(Model):
    """A key to make."""

    subject: Subject = Field(
        description="Whom the key speaks for: in audit rows, in `requestedBy`, and as owner of Idempotency-Keys."
    )
    description: Annotated[str, AfterValidator(no_nul)] = Field(default="", max_length=200)
    scopes: tuple[ScopeName, ...] = Field(min_length=1, max_length=50)
    namespaces: tuple[NamespaceName, ...] = Field(min_length=1, max_length=100, description="`*` stands for all.")
    expires_at: Time | None = Field(
        default=None, description="Without it, the key ends with the one that made it, if that ends."
    )


class RotateKeyRequest(Model):
    """How to replace a key."""

    overlap_seconds: int = Field(
        default=86_400, ge=0, le=_MAX_OVERLAP, description="How long the old key goes on beside the new one."
    )


class ApiKey(Model):
    """An API key, without its secret."""

    id: str
    subject: str
    description: str
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    state: KeyState
    created_at: Time | None
    created_by: str | None
    rotated_from: str | None = Field(description="Id of the key that this one follows.")
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None = Field(description="To the minute.")


class NewApiKey(ApiKey):
    """An API key at the only time that its secret is shown."""

    key: str = Field(description="What to send in `X-API-Key`. It is kept nowhere and cannot be shown again.")


class ApiKeyPage(Model):
    """A page of keys, the newest first."""

    items: tuple[ApiKey, ...]
    next_cursor: str | None = Field(description="None on the last page.")


def api_key_of(key: api_keys.ApiKey, *, now: datetime) -> ApiKey:
    """The representation of a key."""
    state = KeyState.REVOKED if key.revoked_at is not None else KeyState.ACTIVE
    if state is KeyState.ACTIVE and not key.usable(now):
        state = KeyState.EXPIRED
    return ApiKey(
        id=key.id,
        subject=key.subject,
        description=key.description,
        scopes=key.scopes,
        namespaces=key.namespaces,
        state=state,
        created_at=key.created_at,
        created_by=key.created_by,
        rotated_from=key.rotated_from,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
    )


def new_api_key_of(key: api_keys.ApiKey, text: str, *, now: datetime) -> NewApiKey:
    """The same with the secret."""
    return NewApiKey(key=text, **dict(api_key_of(key, now=now)))
