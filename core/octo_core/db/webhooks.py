"""SQL on ``webhooks``: subscriptions to events."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db import events
from octo_core.db.events import NewEvent
from octo_core.db.webhook_tables import WebhookRow
from octo_core.domain.events import EventType


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription. With ``disabled_at`` nothing new is kept for it."""

    id: str
    namespace: str
    name: str
    url: str
    created_by: str
    created_at: datetime
    salt: str = field(repr=False)
    description: str = ""
    types: list[str] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    job_uid: str | None = None
    previous_salt: str | None = field(default=None, repr=False)
    previous_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    version: int = 1


_COLUMNS = [WebhookRow.__table__.columns[item.name] for item in fields(Webhook)]


async def create(session: AsyncSession, webhook: Webhook, *, at_most: int) -> bool:
    """Write a new one; False if the namespace has one of that name, or ``at_most`` others."""
    values = {item.name: getattr(webhook, item.name) for item in fields(Webhook)}
    there = await session.scalars(select(WebhookRow.id).where(WebhookRow.namespace == webhook.namespace))
    if len(there.all()) >= at_most:
        return False
    made = await session.scalar(insert(WebhookRow).values(values).on_conflict_do_nothing().returning(WebhookRow.id))
    return made is not None


async def get(session: AsyncSession, webhook_id: str, *, lock: bool = False) -> Webhook | None:
    """The webhook of that id; locked until the end of the transaction if asked."""
    statement = select(*_COLUMNS).where(WebhookRow.id == webhook_id)
    row = (await session.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return None if row is None else Webhook(**row._mapping)


async def page(
    session: AsyncSession, *, namespaces: Collection[str] | None, after: tuple[str, str] | None, limit: int
) -> list[Webhook]:
    """Webhooks by namespace and name, behind ``after``."""
    statement = select(*_COLUMNS)
    if namespaces is not None:
        statement = statement.where(WebhookRow.namespace.in_(namespaces))
    if after is not None:
        statement = statement.where(tuple_(WebhookRow.namespace, WebhookRow.name) > tuple_(*after))
    rows = await session.execute(statement.order_by(WebhookRow.namespace, WebhookRow.name).limit(limit))
    return [Webhook(**row._mapping) for row in rows]


async def change(session: AsyncSession, webhook_id: str, values: dict[str, Any]) -> None:
    """Write these columns, and count the change."""
    await session.execute(
        update(WebhookRow).where(WebhookRow.id == webhook_id).values({**values, "version": WebhookRow.version + 1})
    )


async def remove(session: AsyncSession, webhook_id: str) -> None:
    """Delete it, with all that is kept of its deliveries."""
    await session.execute(delete(WebhookRow).where(WebhookRow.id == webhook_id))


async def succeeded(session: AsyncSession, webhook_id: str) -> None:
    """Note that its endpoint took a message."""
    await session.execute(
        update(WebhookRow)
        .where(WebhookRow.id == webhook_id, WebhookRow.failing_since.is_not(None))
        .values(failing_since=None)
    )


async def failed(
    session: AsyncSession, webhook_id: str, *, now: datetime, disable_before: datetime | None, reason: str
) -> bool:
    """Note that its endpoint did not take a message.

    Disabled, with an event, if it has taken none since ``disable_before``; True if that is what came of it.
    """
    webhook = await get(session, webhook_id, lock=True)
    if webhook is None or webhook.disabled_at is not None:
        return False
    since = webhook.failing_since or now
    disable = disable_before is not None and since <= disable_before
    values: dict[str, Any] = {"failing_since": since}
    if disable:
        values |= {"disabled_at": now, "disabled_reason": reason}
        data = {"webhookId": webhook.id, "webhookName": webhook.name, "reason": reason}
        happened = NewEvent(webhook.namespace, EventType.WEBHOOK_DISABLED.value, now, data)
        await events.append(session, [happened])
    await session.execute(update(WebhookRow).where(WebhookRow.id == webhook_id).values(values))
    return disable
