"""SQL on ``webhook_deliveries``: an outbox that fills in the order of events, and empties by leases."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.events import Bounds
from octo_core.db.webhook_tables import WebhookDeliveryRow


class DeliveryState(StrEnum):
    """What became of a message."""

    PENDING = "Pending"
    DELIVERED = "Delivered"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to a webhook; ``id`` is that of the message, the same in all its tries."""

    number: int
    id: str
    webhook_id: str
    position: int | None
    type: str
    state: str
    attempts: int
    created_at: datetime
    due_at: datetime
    attempted_at: datetime | None
    status: int | None
    error: str | None
    response: str | None
    milliseconds: int | None
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one try ended; ``error`` is None if it counts."""

    status: int | None
    error: str | None
    response: str | None
    milliseconds: int


_COLUMNS = [WebhookDeliveryRow.__table__.columns[item.name] for item in fields(Delivery)]

_FILL = text(
    """
    INSERT INTO webhook_deliveries (id, webhook_id, position, type, state, due_at)
    SELECT 'msg_' || w.id || '_' || e.position, w.id, e.position, e.type, 'Pending', now()
    FROM events e JOIN webhooks w ON w.namespace = e.namespace
    WHERE e.position > :floor AND e.position <= :head
      AND w.disabled_at IS NULL
      AND (e.type = ANY (w.types) OR (w.types = '{}' AND e.job_uid IS NOT NULL))
      AND (w.providers = '{}' OR e.provider = ANY (w.providers) OR e.job_uid IS NULL)
      AND (w.job_uid IS NULL OR w.job_uid = e.job_uid)
    ORDER BY e.position, w.id
    """
)

# The lock of a row that another process holds is not waited for; the lease outlives whoever took it.
_CLAIM = text(
    """
    WITH taken AS MATERIALIZED (
        SELECT due.number
        FROM webhooks w
        CROSS JOIN LATERAL (
            SELECT p.number FROM webhook_deliveries p
            WHERE p.webhook_id = w.id AND p.state = 'Pending' AND p.due_at <= now()
            ORDER BY p.due_at, p.number
            LIMIT :each
            FOR UPDATE SKIP LOCKED
        ) AS due
        WHERE w.disabled_at IS NULL AND NOT (w.id = ANY (:busy))
        LIMIT :most
    )
    UPDATE webhook_deliveries AS d
    SET due_at = now() + :lease, attempts = d.attempts + 1, attempted_at = now()
    FROM taken
    WHERE d.number = taken.number
    RETURNING d.number
    """
)


async def fill(session: AsyncSession, given: Bounds) -> int:
    """Make the deliveries of events that get their positions in this transaction; returns how many."""
    made = await session.execute(_FILL, {"floor": given.floor, "head": given.head})
    count: int = made.rowcount  # type: ignore[attr-defined] # an INSERT has it, its type does not say so
    return count


async def claim(
    session: AsyncSession, *, lease: timedelta, each: int, most: int, busy: Collection[str]
) -> list[Delivery]:
    """Take deliveries that are due, for this long: at most ``each`` of a webhook, none of those in ``busy``."""
    numbers = await session.scalars(_CLAIM, {"lease": lease, "each": each, "most": most, "busy": list(busy)})
    rows = await session.execute(
        select(*_COLUMNS).where(WebhookDeliveryRow.number.in_(numbers.all())).order_by(WebhookDeliveryRow.number)
    )
    return [Delivery(*row) for row in rows]


async def note(
    session: AsyncSession, delivery: Delivery, attempt: Attempt, *, state: DeliveryState, wait: timedelta | None
) -> None:
    """Write how a try ended, and in how long the next one is due. Left alone if it was taken again meanwhile."""
    values: dict[str, Any] = {
        "state": state.value,
        "status": attempt.status,
        "error": attempt.error,
        "response": attempt.response,
        "milliseconds": attempt.milliseconds,
    }
    if wait is not None:
        values["due_at"] = func.now() + wait
    await session.execute(
        update(WebhookDeliveryRow)
        .where(
            WebhookDeliveryRow.number == delivery.number,
            WebhookDeliveryRow.attempts == delivery.attempts,
            WebhookDeliveryRow.attempted_at == delivery.attempted_at,
        )
        .values(values)
    )


async def create_test(
    session: AsyncSession, *, delivery_id: str, webhook_id: str, kind: str, body: dict[str, Any], lease: timedelta
) -> Delivery:
    """A delivery beside all events, already taken by whoever makes it."""
    statement = text("SELECT now(), now() + :lease")
    now, due_at = (await session.execute(statement, {"lease": lease})).one()
    row = await session.execute(
        insert(WebhookDeliveryRow)
        .values(
            id=delivery_id,
            webhook_id=webhook_id,
            type=kind,
            state=DeliveryState.PENDING.value,
            attempts=1,
            due_at=due_at,
            attempted_at=now,
            body=body,
        )
        .returning(*_COLUMNS)
    )
    return Delivery(*row.one())


async def get(session: AsyncSession, webhook_id: str, delivery_id: str) -> Delivery | None:
    """One delivery of a webhook."""
    row = await session.execute(
        select(*_COLUMNS).where(WebhookDeliveryRow.webhook_id == webhook_id, WebhookDeliveryRow.id == delivery_id)
    )
    found = row.one_or_none()
    return None if found is None else Delivery(*found)


async def page(
    session: AsyncSession, webhook_id: str, *, state: DeliveryState | None, before: int | None, limit: int
) -> list[Delivery]:
    """Deliveries of a webhook, the newest first, from before number ``before`` on."""
    statement = select(*_COLUMNS).where(WebhookDeliveryRow.webhook_id == webhook_id)
    if state is not None:
        statement = statement.where(WebhookDeliveryRow.state == state.value)
    if before is not None:
        statement = statement.where(WebhookDeliveryRow.number < before)
    rows = await session.execute(statement.order_by(WebhookDeliveryRow.number.desc()).limit(limit))
    return [Delivery(*row) for row in rows]


async def send_again(session: AsyncSession, webhook_id: str, delivery_id: str) -> Delivery | None:
    """Have it tried anew, from the start of the schedule, under the same id. None if there is no such."""
    row = await session.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.webhook_id == webhook_id, WebhookDeliveryRow.id == delivery_id)
        .values(state=DeliveryState.PENDING.value, attempts=0, due_at=text("now()"))
        .returning(*_COLUMNS)
    )
    found = row.one_or_none()
    return None if found is None else Delivery(*found)


async def delete_over(session: AsyncSession, *, older_than: datetime, limit: int = 5000) -> int:
    """Forget deliveries that ended before then; returns how many."""
    over = (
        select(WebhookDeliveryRow.number)
        .where(WebhookDeliveryRow.state != DeliveryState.PENDING.value, WebhookDeliveryRow.attempted_at < older_than)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("over")
    )
    gone = await session.scalars(
        delete(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.number == over.c.number)
        .returning(WebhookDeliveryRow.number)
    )
    return len(gone.all())
