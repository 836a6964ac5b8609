"""What was fetched of each provider, and the steps of verifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and enter into the ledger what earlier runs have stored."""
    op.add_column(
        "job_files", sa.Column("refetch", sa.Text(), nullable=True, comment="id of the refetch that this was")
    )
    op.create_table(
        "job_checks",
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_uid", "attempt", "number", name=op.f("pk_job_checks")),
    )
    op.create_table(
        "ledger",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("source_path", sa.Text(collation="C"), nullable=False),
        sa.Column("member", sa.Text(collation="C"), nullable=False, comment="path within an archive, else empty"),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("source_size", sa.BigInteger(), nullable=False),
        sa.Column("source_modified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("refetch", sa.Text(), nullable=True, comment="id of the last refetch that was done"),
        sa.Column("job_uid", sa.Text(), nullable=False, comment="the run that stored it"),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "provider", "source_path", "member", name=op.f("pk_ledger")),
    )
    op.execute(
        """
        INSERT INTO ledger (namespace, provider, source_path, member, key, source_size, source_modified_at,
                            source_sha256, size, sha256, job_uid, stored_at)
        SELECT DISTINCT ON (j.namespace, j.provider, f.source_path, f.member)
               j.namespace, j.provider, f.source_path, f.member, f.key, f.source_size, f.source_modified_at,
               f.source_sha256, f.size, f.sha256, f.job_uid, f.finished_at
        FROM job_files f JOIN jobs j ON j.uid = f.job_uid
        WHERE f.outcome IN ('Stored', 'AlreadyStored')
        ORDER BY j.namespace, j.provider, f.source_path, f.member, f.finished_at DESC
        """
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("ledger")
    op.drop_table("job_checks")
    op.drop_column("job_files", "refetch")
