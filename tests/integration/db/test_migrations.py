"""The migrations make exactly the tables that the code has."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from octo_core.db.migrate import Schema, alembic_config, current, head, needs_code, schema, upgrade
from octo_core.db.session import Database
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


async def test_a_newer_schema_stays_as_it_is(database_settings: DatabaseSettings, database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await upgrade(database_settings)
    assert await current(database_settings) == "9999"
    async with database.transaction() as session:
        assert await schema(session) == Schema("9999")
        await session.execute(text(needs_code("9998")))
        assert await schema(session) == Schema("9999", needs="9998")


def test_versions_of_the_schema_grow_with_time() -> None:
    newest_first = [one.revision for one in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    assert newest_first == sorted(newest_first, reverse=True)
    assert {len(revision) for revision in newest_first} == {4}


@pytest.mark.parametrize(
    ("stored", "serves"),
    [
        (Schema("0012"), True),
        (Schema("0011"), False),
        (Schema("0013"), True),
        (Schema("0014", needs="0012"), True),
        (Schema("0014", needs="0013"), False),
    ],
)
def test_code_works_on_its_schema_and_on_newer_ones_that_let_it(stored: Schema, serves: bool) -> None:
    assert stored.serves("0012") is serves
