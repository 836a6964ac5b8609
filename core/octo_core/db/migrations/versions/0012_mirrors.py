"""Who mirrors which cluster, and what a lost one has left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and the column."""
    op.create_table(
        "mirrors",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("controller", sa.Text(), nullable=False, comment="the number of its shard"),
        sa.Column("token", sa.Text(), nullable=False, comment="drawn by the process that writes"),
        sa.Column("cluster", sa.Text(), nullable=True, comment="uid of the namespace in its cluster"),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "controller", name=op.f("pk_mirrors")),
    )
    op.create_table(
        "providers",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("annotations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("mirrored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lost_cluster", sa.Text(), nullable=True, comment="uid of its namespace in a cluster that is gone"),
        sa.PrimaryKeyConstraint("namespace", "name", name=op.f("pk_providers")),
    )
    op.add_column(
        "jobs",
        sa.Column("lost_cluster", sa.Text(), nullable=True, comment="uid of its namespace in a cluster that is gone"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_column("jobs", "lost_cluster")
    op.drop_table("providers")
    op.drop_table("mirrors")
