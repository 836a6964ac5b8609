"""Alembic's entry: runs on the connection that ``octo_core.db.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from octo_core.db import webhook_tables  # noqa: F401 - its tables join those of Base
from octo_core.db.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
