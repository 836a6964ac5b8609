"""What requests are about to do, said before they do it, so that a killed process leaves no gap in the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "audit_intents",
        sa.Column("id", sa.Text(), nullable=False, comment="drawn for the request"),
        sa.Column("part", sa.Integer(), nullable=False, comment="a request may do several things"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "entry", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="what of the audit row is known"
        ),
        sa.Column(
            "probe", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="how to see whether it was done"
        ),
        sa.PrimaryKeyConstraint("id", "part", name=op.f("pk_audit_intents")),
    )
    op.create_index(op.f("ix_audit_intents_at"), "audit_intents", ["at"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("audit_intents")
