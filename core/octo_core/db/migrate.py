"""Bring the schema to the newest version, or say which version it has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from octo_core.settings import DatabaseSettings

logger = logging.getLogger(__name__)

# Any number, the same in every process: only one migrates at a time.
_LOCK = 0x0C70
_NEEDS = "needs code of "


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database says of its schema. Versions are text that grows."""

    version: str
    needs: str | None = None
    """The oldest code, by the newest version that it knows, which can work on it; None: any."""

    def serves(self, known: str) -> bool:
        """Whether code that knows the versions up to ``known`` can work on it; a newer schema has only more."""
        return self.version >= known and (self.needs is None or self.needs <= known)


def needs_code(version: str) -> str:
    """The statement by which a migration says that code older than ``version`` cannot work on its schema.

    Migrations add; only one that takes away or renames what older code reads has to say it.
    """
    return f"COMMENT ON TABLE alembic_version IS '{_NEEDS}{version}'"


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
    """Run all migrations that have not been run, in one transaction, under a lock.

    A schema of a newer release stays as it is: a release that was rolled back to comes to such a one.
    """

    def run(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found > head():
            logger.warning("the schema is newer than this release and stays", extra={"found": found, "known": head()})
            return
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


async def schema(session: AsyncSession) -> Schema | None:
    """The same over a session, for a process that asks often, with what code can work on it."""
    table = await session.scalar(text("SELECT to_regclass('alembic_version')"))
    if table is None:
        return None
    said = await session.execute(
        text("SELECT version_num, obj_description('alembic_version'::regclass, 'pg_class') FROM alembic_version")
    )
    row = said.one_or_none()
    if row is None:
        return None
    found, comment = row
    return Schema(found, comment.removeprefix(_NEEDS) if comment and comment.startswith(_NEEDS) else None)


async def _with_connection(settings: DatabaseSettings, run: Callable[[Connection], None]) -> None:
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, connect_args={"timeout": 5})
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()
