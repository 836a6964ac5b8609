"""Who makes a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from octo_api.auth.identity import Identity
from octo_core.domain.errors import ForbiddenError

ANY = "*"


class Scope(StrEnum):
    """What a credential may be allowed to do; ``*`` on a key stands for all."""

    JOBS_READ = "jobs:read"
    """Runs, their files, attempts, events and explanations."""
    JOBS_CREATE = "jobs:create"
    """Also by schedule, batch and rerun."""
    JOBS_UPDATE = "jobs:update"
    JOBS_CANCEL = "jobs:cancel"
    JOBS_DELETE = "jobs:delete"
    LOGS_READ = "logs:read"
    PROVIDERS_READ = "providers:read"
    """Also their ledgers and schedules."""
    PROVIDERS_WRITE = "providers:write"
    """Also resets of a ledger; a provider names Secrets, so this amounts to the use of its namespace's Secrets."""
    PROVIDERS_VERIFY = "providers:verify"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. ``subject`` is also the tenant of their Idempotency-Keys.

    ``scopes`` and ``namespaces`` are what the credential may do and where, each scope in each namespace. Of an
    identity from elsewhere, whose rights may differ from namespace to namespace, they hold the scope of the route
    at hand, and where the identity has it.
    """

    subject: str
    key_id: str | None
    scopes: frozenset[str]
    namespaces: frozenset[str]
    expires_at: datetime | None
    identity: Identity | None = None
    """If another authority vouches for the caller, instead of an API key."""
    delegates_until: datetime | None = None
    """When the API key of the caller ends, and with it whatever it may hand on."""

    def require(self, scope: Scope) -> None:
        """Raise ForbiddenError unless the caller has the scope."""
        if ANY not in self.scopes and scope not in self.scopes:
            raise ForbiddenError(f"this credential lacks the scope {scope}")

    def may_use(self, namespace: str) -> bool:
        """Whether the caller may see and change what is in the namespace."""
        return ANY in self.namespaces or namespace in self.namespaces

    def require_namespace(self, namespace: str) -> None:
        """Raise ForbiddenError unless the caller may use the namespace."""
        if not self.may_use(namespace):
            raise ForbiddenError(f"this credential is not for namespace {namespace}")

    def visible_namespaces(self) -> tuple[str, ...] | None:
        """The namespaces that the caller may see; None for all."""
        return None if ANY in self.namespaces else tuple(sorted(self.namespaces))
