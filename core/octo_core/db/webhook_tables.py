"""The tables of webhooks: who wants to be told of which events, and what became of telling them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from octo_core.db.tables import Base


class WebhookRow(Base):
    """A subscription. Its secrets are derived from the server's signing key and these salts, and stand nowhere."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str]
    name: Mapped[str]
    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    types: Mapped[list[str]] = mapped_column(comment="of events; empty means all of runs")
    providers: Mapped[list[str]] = mapped_column(comment="empty means all")
    job_uid: Mapped[str | None] = mapped_column(comment="one run only")
    salt: Mapped[str] = mapped_column(comment="of the secret that signs")
    previous_salt: Mapped[str | None] = mapped_column(comment="of the secret before, which signs too for a while")
    previous_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    failing_since: Mapped[datetime | None] = mapped_column(comment="first failure after the last success")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[str]
    version: Mapped[int] = mapped_column(Integer, server_default="1", comment="counts changes over REST")

    __table_args__ = (Index(None, "namespace", "name", unique=True),)


class WebhookDeliveryRow(Base):
    """One message to one webhook: made with the event's position, so there is exactly one for each event."""

    __tablename__ = "webhook_deliveries"

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id: Mapped[str] = mapped_column(comment="webhook-id of all its tries")
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    position: Mapped[int | None] = mapped_column(BigInteger, comment="of the event; none for a test")
    type: Mapped[str]
    state: Mapped[str] = mapped_column(comment="Pending, Delivered or Failed")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0", comment="since it was made or sent again")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(comment="of the next try; one under way has moved it to its lease's end")
    attempted_at: Mapped[datetime | None]
    status: Mapped[int | None] = mapped_column(SmallInteger, comment="HTTP status of the last answer")
    error: Mapped[str | None] = mapped_column(comment="why there was no answer, or none that counts")
    response: Mapped[str | None] = mapped_column(comment="the beginning of the last answer's body")
    milliseconds: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[dict[str, Any] | None] = mapped_column(comment="of a test; that of an event is in its row")

    __table_args__ = (
        Index(None, "id", unique=True),
        Index(None, "webhook_id", "number"),
        Index("ix_webhook_deliveries_due", "webhook_id", "due_at", postgresql_where=text("state = 'Pending'")),
        Index("ix_webhook_deliveries_over", "attempted_at", postgresql_where=text("state <> 'Pending'")),
    )
