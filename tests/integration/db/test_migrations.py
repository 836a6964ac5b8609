"""The migrations make exactly the tables that the code has."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from octo_core.db.migrate import current, head, upgrade
from octo_core.db.tables import Base
from octo_core.settings import DatabaseSettings


async def test_migrations_and_tables_do_not_drift(database_settings: DatabaseSettings) -> None:
    url = make_url(database_settings.database_url.get_secret_value()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


async def test_upgrade_can_be_repeated(database_settings: DatabaseSettings) -> None:
    await upgrade(database_settings)
    assert await current(database_settings) == head()
