"""An index for each order in which jobs are listed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NEW: tuple[tuple[tuple[str, ...], str | None], ...] = (
    (("namespace", "provider", "state", "created_at", "uid"), None),
    (("namespace", "requested_by", "created_at", "uid"), None),
    (("namespace", "state", "finished_at", "uid"), "finished_at IS NOT NULL"),
    (("namespace", "provider", "state", "finished_at", "uid"), "finished_at IS NOT NULL"),
    (("namespace", "failure_category", "created_at", "uid"), "failure_category IS NOT NULL"),
    (("namespace", "schedule", "created_at", "uid"), "schedule IS NOT NULL"),
    (("rerun_of", "created_at", "uid"), "rerun_of IS NOT NULL"),
)
_BY_NAME = "ix_jobs_namespace_name"
_BY_LABELS = "ix_jobs_labels"
_BY_PROVIDER = ("namespace", "provider", "created_at", "uid")


def upgrade() -> None:
    """Make them; that of names is made anew, so that it serves prefixes."""
    op.add_column(
        "jobs", sa.Column("schedule", sa.Text(), nullable=True, comment="the provider whose schedule made the run")
    )
    for columns, where in _NEW:
        op.create_index(_name(columns), "jobs", list(columns), postgresql_where=sa.text(where) if where else None)
    op.create_index(_BY_LABELS, "jobs", ["labels"], postgresql_using="gin", postgresql_ops={"labels": "jsonb_path_ops"})
    op.drop_index(_name(_BY_PROVIDER), table_name="jobs")
    op.drop_index(_BY_NAME, table_name="jobs")
    op.create_index(_BY_NAME, "jobs", ["namespace", "name"], postgresql_ops={"name": "text_pattern_ops"})


def downgrade() -> None:
    """Have those of before."""
    for columns, _ in _NEW:
        op.drop_index(_name(columns), table_name="jobs")
    op.drop_index(_BY_LABELS, table_name="jobs")
    op.create_index(_name(_BY_PROVIDER), "jobs", list(_BY_PROVIDER))
    op.drop_index(_BY_NAME, table_name="jobs")
    op.create_index(_BY_NAME, "jobs", ["namespace", "name"])
    op.drop_column("jobs", "schedule")


def _name(columns: tuple[str, ...]) -> str:
    return "_".join(("ix_jobs", *columns))
