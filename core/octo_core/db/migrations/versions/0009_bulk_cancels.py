"""Requests to end many runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "bulk_cancels",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("uids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="once it was carried out"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key_hash", name=op.f("pk_bulk_cancels")),
    )
    op.create_index(op.f("ix_bulk_cancels_expires_at"), "bulk_cancels", ["expires_at"], unique=False)


def downgrade() -> None:
    """Take it away."""
    op.drop_table("bulk_cancels")
