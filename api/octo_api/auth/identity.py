"""Somebody whom another authority vouches for: the cluster, or an OpenID Connect provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and groups as Kubernetes would see them; what they may do is decided elsewhere."""

    username: str
    groups: frozenset[str]
    expires_at: datetime | None = None
    uid: str = ""
