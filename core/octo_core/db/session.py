"""The engine of a process, and the border where driver errors become Octo's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

# SQLAlchemy passes these on as they are when they meet it while it prepares a new connection.
from asyncpg.exceptions import InterfaceError as _RawInterfaceError
from asyncpg.exceptions import PostgresError as _RawPostgresError
from pydantic_core import from_json, to_json
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.settings import DatabaseSettings

__all__ = ["AsyncSession", "Database", "DatabaseContendedError"]

# Classes of SQLSTATE: connection, resources, operator intervention (shutdown, statement timeout), system, retry; and
# while somebody puts another database in its place, no such login, no such database.
_PASSING = ("08", "53", "57", "58", "40", "28", "3D")
# Serialization failure, deadlock, lock timeout: another transaction was in the way, and this one may be tried again.
_CONTENDED = ("40001", "40P01", "55P03")
# At an installation's start, and at an upgrade's, until the migration has run: no such table, no such column.
_NOT_MIGRATED = ("42P01", "42703")
# The login may not do that: somebody has to grant it, and what waits is not at fault.
_NOT_GRANTED = "42501"
# A server that was the primary when the connection was made, and follows another by now.
_READ_ONLY = "25006"
_USED = "octo_used_at"
_IDLE_SECONDS = 0.2


class DatabaseContendedError(DatabaseUnavailableError):
    """Another transaction was in the way; nothing of this one was kept, and it may be tried again at once."""


class DatabaseReadOnlyError(DatabaseUnavailableError):
    """The server takes no writes; behind its name may stand another by now."""


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
            # The one used last is the one least likely to be dead; see _check_idle.
            pool_use_lifo=True,
            json_serializer=_json,
            json_deserializer=from_json,
            connect_args={
                "timeout": 5,
                "command_timeout": settings.database_statement_timeout_seconds + 1,
                "server_settings": {"application_name": application_name, "statement_timeout": milliseconds},
            },
        )
        event.listen(self._engine.sync_engine, "checkin", _note_use)
        event.listen(self._engine.sync_engine, "checkout", _check_idle)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reads = async_sessionmaker(alone, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end, rolled back on any error.

        Raises DatabaseUnavailableError when Postgres is away, overloaded, cancels the statement, takes no writes, or
        has no schema yet.
        """
        try:
            with _octo_errors():
                async with self._sessions.begin() as session:
                    yield session
        except DatabaseReadOnlyError:
            # Its other connections lead to the same server, and would for as long as they hold.
            await self._engine.dispose()
            raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """For reads that need no common snapshot: each statement is a transaction, and so a single round trip.

        Raises DatabaseUnavailableError as ``transaction`` does.
        """
        with _octo_errors():
            async with self._reads() as session:
                yield session

    async def ready(self) -> None:
        """Return if Postgres answers; raise DatabaseUnavailableError if not."""
        async with self.transaction() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


@contextmanager
def _octo_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, TimeoutError, OSError, _RawInterfaceError) as error:
        raise DatabaseUnavailableError(f"Postgres did not answer: {type(error).__name__}") from error
    except (DBAPIError, _RawPostgresError) as error:
        state = sqlstate(error)
        if state in _NOT_MIGRATED:
            raise DatabaseUnavailableError("the schema is missing or old: run `octo-api migrate`") from error
        if state == _READ_ONLY:
            raise DatabaseReadOnlyError("Postgres takes no writes") from error
        if state == _NOT_GRANTED:
            raise DatabaseUnavailableError("Postgres does not let this login do that") from error
        if state in _CONTENDED:
            raise DatabaseContendedError(f"Postgres did not answer: {state}") from error
        if getattr(error, "connection_invalidated", False) or state[:2] in _PASSING:
            raise DatabaseUnavailableError(f"Postgres did not answer: {state}") from error
        raise


def _json(value: Any) -> str:
    return to_json(value).decode()


def _note_use(_: Any, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = monotonic()


def _check_idle(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
    """Ask a connection that lay idle whether it is alive, so that nobody meets a Postgres that was restarted.

    One that was used a moment ago is not asked: that takes three round trips, and a request one.
    """
    # None of a new one, and of one made in the place of a dead one.
    used = record.info.get(_USED)
    if used is not None and monotonic() - used > _IDLE_SECONDS:
        try:
            connection.ping()
        except Exception as error:
            # All others are as old; the pool makes a new one.
            raise InvalidatePoolError from error


def sqlstate(error: Exception) -> str:
    """The five-character SQLSTATE of a driver error, wrapped by SQLAlchemy or not, or an empty string."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
