"""Bring the schema to the newest version, or say which version it has."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from octo_core.settings import DatabaseSettings

# Any number, the same in every process: only one migrates at a time.
_LOCK = 0x0C70


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(files("octo_core.db") / "migrations"))
    return config


def head() -> str:
    """The newest schema version that this code knows."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert revision is not None  # noqa: S101 - there is at least one migration
    return revision


async def upgrade(settings: DatabaseSettings) -> None:
    """Run all migrations that have not been run, in one transaction, under a lock."""

    def run(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(config, "head")

    await _with_connection(settings, run)


async def current(settings: DatabaseSettings) -> str | None:
    """The schema version of the database, or None if it has none."""
    found: list[str | None] = []
    await _with_connection(
        settings,
        lambda connection: found.append(MigrationContext.configure(connection).get_current_revision()),
    )
    return found[0]


async def version(session: AsyncSession) -> str | None:
    """The same over a session, for a process that asks often."""
    table = await session.scalar(text("SELECT to_regclass('alembic_version')"))
    if table is None:
        return None
    found: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return found


async def _with_connection(settings: DatabaseSettings, run: Callable[[Connection], None]) -> None:
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, connect_args={"timeout": 5})
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()
