"""A watch that goes on where it was, over broken streams and gaps; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from octo_controller.engine.watcher import MAX_DELAY, Watcher
from tests.unit.octo_controller.virtual import run_virtual

Raw = dict[str, Any]
End = Exception | None


class GapError(Exception):
    pass


class AwayError(Exception):
    pass


def event(kind: str, version: int) -> tuple[str, Raw]:
    return kind, {"metadata": {"name": f"o{version}", "uid": f"u{version}", "resourceVersion": str(version)}}


class Api:
    """Streams in the order in which they are asked for: events, then how each ends. After the last, silence."""

    def __init__(self, *streams: tuple[list[tuple[str, Raw]], End]) -> None:
        self._streams = list(streams)
        self.asked: list[int] = []
        self.at: list[float] = []
        self.listed = 0
        self.lists_fail = 0
        self.seen: list[tuple[str, bool]] = []
        self.reached: list[int] = []

    async def stream(self, since: int) -> AsyncIterator[tuple[str, Raw]]:
        self.asked.append(since)
        self.at.append(asyncio.get_running_loop().time())
        if not self._streams:
            await asyncio.Event().wait()
        events, end = self._streams.pop(0)
        for each in events:
            yield each
        if end is not None:
            raise end

    async def relist(self) -> int:
        self.listed += 1
        if self.listed <= self.lists_fail:
            raise AwayError
        return 1000 * self.listed

    def run(self, until: Callable[[Api], bool]) -> Watcher:
        watcher = Watcher(
            self.stream,
            lambda raw, gone: self.seen.append((raw["metadata"]["name"], gone)),
            relist=self.relist,
            gaps=(GapError,),
            passing=(AwayError,),
            reached=self.reached.append,
        )

        async def main() -> None:
            task = asyncio.create_task(watcher.run(5))
            while not until(self):
                await asyncio.sleep(1)
                assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        run_virtual(main())
        return watcher


def test_the_next_stream_begins_where_the_last_one_ended() -> None:
    api = Api(
        ([event("ADDED", 7), event("DELETED", 9)], None),
        ([event("BOOKMARK", 20)], AwayError()),
        ([event("MODIFIED", 21)], None),
    )
    watcher = api.run(lambda api: len(api.asked) == 4)
    assert api.asked == [5, 9, 20, 21]
    assert api.seen == [("o7", False), ("o9", True), ("o21", False)], "a bookmark is no news"
    assert api.reached == [5, 7, 9, 20, 21], "from where it begins, and a bookmark says that there was nothing"
    assert api.listed == watcher.relists == 0


def test_after_a_gap_it_lists_and_goes_on_from_there() -> None:
    api = Api(([event("ADDED", 7)], GapError()), ([], GapError()), ([event("ADDED", 2001)], None))
    watcher = api.run(lambda api: len(api.asked) == 4)
    assert api.asked == [5, 1000, 2000, 2001]
    assert api.reached == [5, 7, 1000, 2000, 2001]
    assert watcher.relists == 2


def test_a_list_that_fails_is_made_again_before_anything_is_followed() -> None:
    api = Api(([], GapError()), ([event("ADDED", 3001)], None))
    api.lists_fail = 2
    api.run(lambda api: len(api.asked) == 3)
    assert api.asked == [5, 3000, 3001]


def test_an_api_server_that_is_away_is_asked_ever_less_often_and_without_end() -> None:
    api = Api(*[([], AwayError()) for _ in range(30)], ([event("ADDED", 6)], AwayError()))
    api.run(lambda api: len(api.asked) == 32)
    gaps = [after - before for before, after in zip(api.at, api.at[1:], strict=False)]
    assert all(15 <= gap <= MAX_DELAY + 0.1 for gap in gaps[8:30])
    assert gaps[30] <= 1, "and from the start again once it is back"


def test_one_that_ends_each_stream_at_once_is_not_asked_without_end() -> None:
    api = Api(*[([], None) for _ in range(50)])
    api.run(lambda api: len(api.asked) == 51)
    assert api.at[-1] - api.at[0] >= 4.9
