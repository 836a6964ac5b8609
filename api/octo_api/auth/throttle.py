"""Limits failed logins of a client, so that guessing is slow and cannot fill the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from octo_api.errors import RateLimitedError
from octo_api.limits.buckets import Buckets
from octo_api.limits.clients import limit_key


class FailedLogins:
    """Counts failures by client address, in this process. A limit of 0 counts none."""

    def __init__(self, *, per_minute: int, clock: Callable[[], datetime]) -> None:
        self._buckets = Buckets(size=per_minute, fill_seconds=60, clock=clock) if per_minute else None

    def check(self, client: str | None) -> None:
        """Raise RateLimitedError if the client has failed too often."""
        if self._buckets is None:
            return
        allowance = self._buckets.look(limit_key(client))
        if not allowance.allowed:
            raise RateLimitedError("Too many failed logins from this address.", retry_after=allowance.retry_seconds)

    def note(self, client: str | None) -> None:
        """The client has failed."""
        if self._buckets is not None:
            self._buckets.take(limit_key(client))
