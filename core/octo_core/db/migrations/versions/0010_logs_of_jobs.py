"""Logs of runs, kept when their pods are gone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "job_logs",
        sa.Column("pod_uid", sa.Text(), nullable=False),
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("worker", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="when the pod was made"),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("tail", sa.LargeBinary(), nullable=True, comment="of a log whose middle was too long to be kept"),
        sa.Column("ended", sa.Boolean(), nullable=False, comment="the pod had ended when its log was read"),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pod_uid", name=op.f("pk_job_logs")),
    )
    op.create_index(op.f("ix_job_logs_job_uid_attempt_worker"), "job_logs", ["job_uid", "attempt", "worker"])
    op.create_index(op.f("ix_job_logs_read_at"), "job_logs", ["read_at"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("job_logs")
