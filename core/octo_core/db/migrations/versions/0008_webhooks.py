"""Webhooks and what was sent to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=False, comment="of events; empty means all of runs"),
        sa.Column("providers", postgresql.ARRAY(sa.Text()), nullable=False, comment="empty means all"),
        sa.Column("job_uid", sa.Text(), nullable=True, comment="one run only"),
        sa.Column("salt", sa.Text(), nullable=False, comment="of the secret that signs"),
        sa.Column(
            "previous_salt",
            sa.Text(),
            nullable=True,
            comment="of the secret before, which signs too for a while",
        ),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column(
            "failing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="first failure after the last success",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False, comment="counts changes over REST"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_namespace_name"), "webhooks", ["namespace", "name"], unique=True)
    op.create_table(
        "webhook_deliveries",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Text(), nullable=False, comment="webhook-id of all its tries"),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True, comment="of the event; none for a test"),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="Pending, Delivered or Failed"),
        sa.Column(
            "attempts",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="since it was made or sent again",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="of the next try; one under way has moved it to its lease's end",
        ),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True, comment="HTTP status of the last answer"),
        sa.Column("error", sa.Text(), nullable=True, comment="why there was no answer, or none that counts"),
        sa.Column("response", sa.Text(), nullable=True, comment="the beginning of the last answer's body"),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.Column(
            "body",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="of a test; that of an event is in its row",
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id_webhooks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(op.f("ix_webhook_deliveries_id"), "webhook_deliveries", ["id"], unique=True)
    op.create_index(
        op.f("ix_webhook_deliveries_webhook_id_number"), "webhook_deliveries", ["webhook_id", "number"], unique=False
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'Pending'"),
    )
    op.create_index(
        "ix_webhook_deliveries_over",
        "webhook_deliveries",
        ["attempted_at"],
        unique=False,
        postgresql_where=sa.text("state <> 'Pending'"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
