"""The engine of a process, and the border where driver errors become Octo's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.settings import DatabaseSettings

__all__ = ["AsyncSession", "Database"]

# Classes of SQLSTATE: connection, resources, operator intervention (shutdown, statement timeout), retry.
_PASSING = ("08", "53", "57", "40")
# At an installation's start, until the migration has run.
_UNDEFINED_TABLE = "42P01"


class Database:
    """Sessions on one Postgres. Connections are made when first needed, so Postgres may be down at start."""

    def __init__(self, settings: DatabaseSettings, *, application_name: str) -> None:
        url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+asyncpg")
        milliseconds = str(int(settings.database_statement_timeout_seconds * 1000))
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=settings.database_pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=True,
            connect_args={
                "timeout": 5,
                "command_timeout": settings.database_statement_timeout_seconds + 1,
                "server_settings": {"application_name": application_name, "statement_timeout": milliseconds},
            },
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end, rolled back on any error.

        Raises DatabaseUnavailableError when Postgres is away, overloaded, cancels the statement, or has no schema yet.
        """
        try:
            async with self._sessions.begin() as session:
                yield session
        except (OperationalError, InterfaceError, PoolTimeoutError, TimeoutError, OSError) as error:
            raise DatabaseUnavailableError(f"Postgres did not answer: {type(error).__name__}") from error
        except DBAPIError as error:
            state = sqlstate(error)
            if state == _UNDEFINED_TABLE:
                raise DatabaseUnavailableError("the schema is missing: run `octo-api migrate`") from error
            if error.connection_invalidated or state[:2] in _PASSING:
                raise DatabaseUnavailableError(f"Postgres did not answer: {state}") from error
            raise

    async def ready(self) -> None:
        """Return if Postgres answers; raise DatabaseUnavailableError if not."""
        async with self.transaction() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def sqlstate(error: DBAPIError) -> str:
    """The five-character SQLSTATE of a driver error, or an empty string."""
    return str(getattr(error.orig, "sqlstate", None) or "")
