"""Events of all runs in one order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make ``events`` out of ``job_events``; the earlier ones get their positions like new ones."""
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=True,
            comment="place in the order of all events; given after the commit",
        ),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="one of octo_core.domain.events"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("job_uid", sa.Text(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True, comment="counts from 1 without a gap within the run"),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["job_uid"], ["jobs.uid"], name=op.f("fk_events_job_uid_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.execute(
        """
        INSERT INTO events (namespace, type, at, provider, job_uid, seq, data)
        SELECT j.namespace,
               CASE WHEN e.seq = 1 THEN 'job.created' ELSE 'job.' || lower(e.type) END,
               e.at, j.provider, e.job_uid, e.seq,
               jsonb_build_object(
                   'state', CASE WHEN e.type = 'Deleted' THEN j.state ELSE e.type END,
                   'attempt', coalesce(e.data -> 'attempt', to_jsonb(j.attempt)),
                   'reason', coalesce(e.data -> 'reason', 'null'::jsonb))
        FROM job_events e JOIN jobs j ON j.uid = e.job_uid
        ORDER BY e.at, e.job_uid, e.seq
        """
    )
    op.drop_table("job_events")
    op.create_index(op.f("ix_events_job_uid_seq"), "events", ["job_uid", "seq"], unique=True)
    op.create_index(op.f("ix_events_position"), "events", ["position"], unique=True)
    op.create_index(
        "ix_events_unpositioned", "events", ["id"], unique=False, postgresql_where=sa.text("position IS NULL")
    )
    op.create_table(
        "event_positions",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("head", sa.BigInteger(), nullable=False, comment="the last position given"),
        sa.Column(
            "floor", sa.BigInteger(), nullable=False, comment="up to here, events are not kept in order any more"
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_positions_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_positions")),
    )
    op.execute("INSERT INTO event_positions (id, head, floor) VALUES (1, 0, 0)")
    op.alter_column(
        "jobs",
        "last_event",
        comment="highest sequence number of its events",
        existing_comment="highest sequence number in job_events",
    )
