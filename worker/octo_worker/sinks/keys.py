"""The keys that requests to S3 are signed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials of S3. Their values are in no text that this object gives of itself."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


KeySource = Callable[[], Keys]
"""Gives keys that are valid now; raises ``Failed``. May be called by any thread."""
