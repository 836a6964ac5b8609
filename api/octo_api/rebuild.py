"""``octo-api rebuild``: history from the lines of ``octo-worker history``, into a Postgres that was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from octo_core.db import history, mirrors
from octo_core.db.session import AsyncSession, Database
from octo_core.domain.errors import DatabaseUnavailableError, InvalidError
from octo_core.domain.history import LINE, PastEnd, PastFile, PastRun
from octo_core.domain.report import FileResult
from octo_core.settings import DatabaseSettings

BATCH = 500
"""Rows in one transaction, and at most in memory."""
TRIES = 5


@dataclass(slots=True)
class Rebuilt:
    """What was read."""

    attempts: int = 0
    rows: int = 0


async def rebuild(
    settings: DatabaseSettings, lines: Iterable[bytes], *, namespace: str, clock: Callable[[], datetime]
) -> Rebuilt:
    """Add what the lines tell; may be run again, and while everything else runs.

    Raises InvalidError for a line that is none, DatabaseUnavailableError.
    """
    database = Database(settings, application_name="octo-api-rebuild")
    try:
        builder = _Builder(database, namespace, clock)
        for number, line in enumerate(lines, start=1):
            try:
                await builder.take(LINE.validate_json(line))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                raise InvalidError(f"line {number} is not one of `octo-worker history`: {first['msg']}") from None
        # A database from a backup may lack what the controllers take for written: they write all they have once more.
        await builder.write(mirrors.forget)
        return builder.rebuilt
    finally:
        await database.close()


class _Builder:
    def __init__(self, database: Database, namespace: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._namespace = namespace
        self._clock = clock
        self._run: PastRun | None = None
        self._rows: list[FileResult] = []
        self.rebuilt = Rebuilt()

    async def take(self, line: PastRun | PastFile | PastEnd) -> None:
        """One line, in its turn."""
        if isinstance(line, PastRun):
            await self._flush()
            self._run = line
            return
        if self._run is None:
            raise InvalidError(f"a line {line.event} comes before the run that it belongs to")
        if isinstance(line, PastFile):
            self._rows.append(line.result())
            if len(self._rows) >= BATCH:
                await self._flush()
            return
        await self._flush()
        run, self._run = self._run, None
        await self.write(
            lambda session: history.add_run(session, run, line, namespace=self._namespace, now=self._clock())
        )
        self.rebuilt.attempts += 1

    async def _flush(self) -> None:
        run, rows = self._run, self._rows
        if run is not None and rows:
            await self.write(lambda session: history.add_files(session, run, rows, namespace=self._namespace))
            self.rebuilt.rows += len(rows)
        self._rows = []

    async def write(self, change: Callable[[AsyncSession], Awaitable[None]]) -> None:
        """In a transaction of its own; once more if Postgres was away, or chose it to end a deadlock."""
        for left in reversed(range(TRIES)):
            try:
                async with self._database.transaction() as session:
                    await change(session)
                return
            except DatabaseUnavailableError:
                if not left:
                    raise
                await asyncio.sleep(1)
