"""What a caller learns when Postgres cannot serve it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from octo_core.db.projection import live_versions
from octo_core.db.session import Database
from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.settings import DatabaseSettings
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer


async def test_a_database_without_the_schema_is_one_to_wait_for(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute("CREATE DATABASE bare")
    await connection.close()
    database = Database(DatabaseSettings(database_url=SecretStr(postgres.url("bare"))), application_name="test")
    with pytest.raises(DatabaseUnavailableError, match="octo-api migrate"):
        async with database.transaction() as session:
            await live_versions(session, "octo")
    await database.close()


async def test_nobody_at_that_port() -> None:
    url = SecretStr(f"postgresql://octo@127.0.0.1:{free_port()}/octo")
    database = Database(DatabaseSettings(database_url=url), application_name="test")
    with pytest.raises(DatabaseUnavailableError):
        await database.ready()
    await database.close()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(asyncpg.InterfaceError("connection is closed"), id="closed"),
        pytest.param(asyncpg.ConnectionDoesNotExistError("closed in the middle"), id="cut"),
        pytest.param(asyncpg.CannotConnectNowError("starting up"), id="starting"),
    ],
)
async def test_what_the_driver_says_itself_of_a_connection(database: Database, raw: Exception) -> None:
    """SQLAlchemy passes it on as it is from a connection that is cut while it is made, moments that no test meets."""
    with pytest.raises(DatabaseUnavailableError):
        async with database.transaction():
            raise raw


async def test_a_statement_that_takes_too_long(database_settings: DatabaseSettings) -> None:
    hasty = database_settings.model_copy(update={"database_statement_timeout_seconds": 0.2})
    database = Database(hasty, application_name="test")
    with pytest.raises(DatabaseUnavailableError):
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_sleep(5)"))
    await database.ready()
    await database.close()


async def test_connections_that_died_while_they_lay_idle_are_replaced_unnoticed(
    postgres: PostgresServer, database_settings: DatabaseSettings
) -> None:
    one = database_settings.model_copy(update={"database_pool_size": 3})
    database = Database(one, application_name="idle")
    async with AsyncExitStack() as stack:
        for _ in range(3):
            session = await stack.enter_async_context(database.transaction())
            await session.execute(text("SELECT 1"))
    killer = await asyncpg.connect(postgres.url("postgres"))
    assert await killer.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'idle'"
    )
    await killer.close()
    await asyncio.sleep(0.3)  # long enough to count as idle; longer changes nothing
    for _ in range(3):
        async with database.reading() as session:
            assert await session.scalar(text("SELECT 1")) == 1
    await database.close()


async def test_after_a_failover_writes_go_to_the_new_primary(database_settings: DatabaseSettings) -> None:
    """Connections to a primary that was made a replica hold, and take no writes any more."""
    two = database_settings.model_copy(update={"database_pool_size": 2})
    database = Database(two, application_name="test")
    async with AsyncExitStack() as stack:
        for _ in range(2):
            session = await stack.enter_async_context(database.transaction())
            await session.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
    write = text("INSERT INTO mirrors (namespace, controller, token, claimed_at) VALUES ('octo', '0/1', 'a', now())")
    with pytest.raises(DatabaseUnavailableError, match="takes no writes"):
        async with database.transaction() as session:
            await session.execute(write)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            session = await stack.enter_async_context(database.transaction())
            assert await session.scalar(text("SHOW transaction_read_only")) == "off"
        await session.execute(write)
    await database.close()


async def test_a_login_that_may_not_write_is_one_to_wait_for(postgres: PostgresServer, database: Database) -> None:
    async with database.transaction() as session:
        name = await session.scalar(text("SELECT current_database()"))
        await session.execute(text("CREATE ROLE reader LOGIN"))
    try:
        url = SecretStr(postgres.url(str(name)).replace("octo@", "reader@"))
        reader = Database(DatabaseSettings(database_url=url), application_name="test")
        with pytest.raises(DatabaseUnavailableError, match="does not let"):
            async with reader.transaction() as session:
                await live_versions(session, "octo")
        await reader.close()
    finally:
        async with database.transaction() as session:
            await session.execute(text("DROP ROLE reader"))


async def test_each_read_is_a_transaction_of_its_own(database: Database, database_settings: DatabaseSettings) -> None:
    async with database.reading() as session:
        first = await session.scalar(text("SELECT pg_current_xact_id()::text"))
        assert await session.scalar(text("SELECT pg_current_xact_id()::text")) != first
    # And the connection serves transactions again afterwards.
    async with database.transaction() as session:
        first = await session.scalar(text("SELECT pg_current_xact_id()::text"))
        assert await session.scalar(text("SELECT pg_current_xact_id()::text")) == first


@pytest.mark.parametrize(("login", "name"), [("octo", "no-such-database"), ("nobody", "postgres")])
async def test_a_database_or_login_that_is_not_there_counts_as_away(
    postgres: PostgresServer, login: str, name: str
) -> None:
    url = postgres.url(name).replace("octo@", f"{login}@")
    database = Database(DatabaseSettings(database_url=SecretStr(url)), application_name="test")
    with pytest.raises(DatabaseUnavailableError):
        await database.ready()
    await database.close()


async def test_an_older_schema_is_one_to_wait_for(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE jobs DROP COLUMN lost_cluster"))
    with pytest.raises(DatabaseUnavailableError, match="octo-api migrate"):
        async with database.transaction() as session:
            await live_versions(session, "octo")
