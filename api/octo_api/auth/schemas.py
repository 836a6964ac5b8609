"""Documents of the auth routes."""

from __future__ import annotations

from octo_core.domain.model import Model, Time


class Token(Model):
    """A token to send as ``Authorization: Bearer``."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a scheme
    expires_in: int
    expires_at: Time


class Identity(Model):
    """What a credential stands for."""

    subject: str
    key_id: str
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    expires_at: Time | None
