"""How often a file was tried."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; earlier rows were tried at least once."""
    op.add_column(
        "job_files",
        sa.Column(
            "tries", sa.SmallInteger(), server_default="1", nullable=False, comment="of the file, in that attempt"
        ),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_column("job_files", "tries")
