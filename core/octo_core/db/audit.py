"""SQL on ``audit_log``: rows are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import AuditRow


class AuditOutcome(StrEnum):
    """Whether the caller was let through; ``status`` tells what came of it."""

    ALLOWED = "Allowed"
    DENIED = "Denied"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One mutation or refusal."""

    at: datetime
    actor: str | None
    action: str
    outcome: AuditOutcome
    namespace: str | None
    resource: str | None
    status: int
    request_id: str
    client: str | None
    details: dict[str, Any] = field(default_factory=dict)


async def add(session: AsyncSession, entries: Sequence[AuditEntry]) -> None:
    """Append the entries."""
    await session.execute(insert(AuditRow), [asdict(entry) for entry in entries])
