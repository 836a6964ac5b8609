"""What concurrent requests write, committed together: one transaction for all that waits, by one task.

A commit costs as much for one row as for a hundred, so the busier a process is, the less each request pays. Nobody
waits for company: a group is what came while the one before it was under way.

No deadlock can come of it if all writers of the tables go about them in one order: a group writes part by part, in the
order in which it was given the parts, and within a part in the order of its keys.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from sqlalchemy import text

from octo_core.db.session import AsyncSession, Database, DatabaseContendedError
from octo_core.domain.errors import DatabaseUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

MOST: Final = 128
"""Members of one group."""
_CLOSE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
# Others hold rows for the moment of a transaction. Who holds one for longer must not hold up a whole group.
_PATIENCE = text("SET LOCAL lock_timeout = '500ms'")


@dataclass(frozen=True, slots=True, eq=False)
class Part(Generic[T, R]):
    """A kind of write: how many at once are written, and in which order."""

    name: str
    order: Callable[[T], Any]
    """The key by which items are sorted: that of the rows that ``write`` locks."""
    write: Callable[[AsyncSession, Sequence[T]], Awaitable[Sequence[R]]]
    """Writes items in the transaction of a session; its answers, one for each item, in the order of the items."""


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    part: Part[Any, Any]
    item: Any
    written: asyncio.Future[Any]


class GroupCommit:
    """Takes what is to be written, and answers when it is committed. A context: at its end what waits is written."""

    def __init__(self, database: Database, *parts: Part[Any, Any], capacity: int = 10_000, tries: int = 5) -> None:
        self._database = database
        self._parts = parts
        self._capacity = capacity
        self._tries = tries
        self._waiting: deque[_Member] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None  # noqa: S101 - __aenter__ made it
        self._closing = True
        self._wake.set()
        await asyncio.wait((self._task,), timeout=_CLOSE_SECONDS)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._fail_waiting(DatabaseUnavailableError("the process ended before this was written"))

    def add(self, part: Part[T, R], item: T) -> asyncio.Future[R]:
        """Write an item with the next group; resolved when it is committed, with the answer of ``part.write``.

        Its error is that of the item alone: DatabaseUnavailableError if Postgres is away, or what ``part.write``
        raises for it. Raises DatabaseUnavailableError at once if too much waits, or the context has ended.
        """
        if self._closing or len(self._waiting) >= self._capacity:
            raise DatabaseUnavailableError("too much waits to be written")
        written: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Member(part, item, written))
        self._wake.set()
        return written

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                count = min(MOST, len(self._waiting))
                taken = [self._waiting.popleft() for _ in range(count)]
                # Who does not wait any more has not begun anything: nothing is owed.
                group = [member for member in taken if not member.written.done()]
                try:
                    await self._write(group)
                finally:
                    for member in group:
                        member.written.cancel()  # no effect on those that are resolved

    async def _write(self, group: list[_Member]) -> None:
        if len(group) > 1:
            try:
                await self._together(group)
            except DatabaseContendedError:
                logger.info("group split up: another transaction was in the way")
            except DatabaseUnavailableError as error:
                self._away(group, error)
                return
            except Exception:  # noqa: BLE001 - it is for whoever asked, and shows with them
                logger.info("group split up: a member cannot be written")
            else:
                return
        await self._one_by_one(group)

    async def _one_by_one(self, group: list[_Member]) -> None:
        """Each in a transaction of its own, so that one which cannot be written keeps no other from it."""
        for tries_left in reversed(range(self._tries)):
            held: list[_Member] = []
            for number, member in enumerate(group):
                try:
                    await self._together([member])
                except DatabaseContendedError as error:
                    if tries_left:
                        held.append(member)
                    else:
                        _fail(member, error)
                except DatabaseUnavailableError as error:
                    self._away([*held, *group[number:]], error)
                    return
                except Exception as error:  # noqa: BLE001 - it is for who asked
                    _fail(member, error)
            if not held:
                return
            group = held
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _together(self, group: list[_Member]) -> None:
        answers: list[tuple[_Member, Any]] = []
        async with self._database.transaction() as session:
            await session.execute(_PATIENCE)
            for part in self._parts:
                members = [member for member in group if member.part is part]
                if members:
                    members.sort(key=lambda member: part.order(member.item))
                    found = await part.write(session, [member.item for member in members])
                    answers += zip(members, found, strict=True)
        for member, answer in answers:
            if not member.written.done():
                member.written.set_result(answer)

    def _away(self, group: list[_Member], error: DatabaseUnavailableError) -> None:
        """Those behind would wait as long, to hear the same."""
        for member in group:
            _fail(member, error)
        self._fail_waiting(error)

    def _fail_waiting(self, error: DatabaseUnavailableError) -> None:
        while self._waiting:
            _fail(self._waiting.popleft(), error)


def _fail(member: _Member, error: Exception) -> None:
    if not member.written.done():
        member.written.set_exception(error)
