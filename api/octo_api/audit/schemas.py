"""Documents of the audit routes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from octo_core.db.audit import AuditEntry, AuditOutcome
from octo_core.domain.model import Model, Time


class AuditRecord(Model):
    """One mutation or refusal."""

    id: str
    at: Time
    actor: str | None = Field(description="Subject of the credential; none if there was no valid one.")
    action: str = Field(description="Noun and verb, such as `jobs.create`.", examples=["jobs.create"])
    outcome: AuditOutcome = Field(
        description="`Denied`: refused, for who asked or for what, as `status` tells; nothing was changed."
    )
    namespace: str | None
    resource: str | None = Field(description="Id or name of what it was done to.")
    status: int = Field(description="HTTP status of the answer.")
    request_id: str
    client: str | None = Field(description="Address of the client.")
    details: dict[str, Any]


class AuditPage(Model):
    """A page of the audit log, the newest first."""

    items: tuple[AuditRecord, ...]
    next_cursor: str | None = Field(description="None on the last page.")


def record_of(entry_id: int, entry: AuditEntry) -> AuditRecord:
    """The representation of an entry."""
    return AuditRecord(
        id=str(entry_id),
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        outcome=entry.outcome,
        namespace=entry.namespace,
        resource=entry.resource,
        status=entry.status,
        request_id=entry.request_id,
        client=entry.client,
        details=entry.details,
    )
