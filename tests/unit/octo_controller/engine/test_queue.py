"""The work queue, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from octo_controller.engine.queue import RetryLaterError, WorkQueue
from tests.unit.octo_controller.virtual import run_virtual

Handler = Callable[[str], Awaitable[float | None]]


class Recorder:
    """A handler that takes its time and remembers when it was called with what."""

    def __init__(self, *, takes: float = 0.0, fails: int = 0, error: type[Exception] = RetryLaterError) -> None:
        self.calls: list[tuple[str, float]] = []
        self.running: set[str] = set()
        self.most = 0
        self._takes = takes
        self._fails = fails
        self._error = error

    async def __call__(self, key: str) -> float | None:
        assert key not in self.running, "two at once for one key"
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        self.calls.append((key, asyncio.get_running_loop().time()))
        await asyncio.sleep(self._takes)
        self.running.discard(key)
        if self._fails:
            self._fails -= 1
            raise self._error("not now")
        return None

    @property
    def times(self) -> list[float]:
        return [round(at, 3) for _, at in self.calls]


def _run(
    handler: Handler, script: Callable[[WorkQueue[str]], Awaitable[None]], *, workers: int = 4, seconds: float = 1000
) -> WorkQueue[str]:
    async def main() -> WorkQueue[str]:
        queue: WorkQueue[str] = WorkQueue(rng=random.Random(1))
        queue.start(handler, workers=workers)
        await script(queue)
        await asyncio.sleep(seconds)
        await queue.close(timeout=1)
        return queue

    return run_virtual(main())


def test_a_key_waits_once_however_often_it_is_added() -> None:
    seen = Recorder()

    async def script(queue: WorkQueue[str]) -> None:
        for _ in range(5):
            queue.add("a")
        assert queue.depth == 1

    _run(seen, script)
    assert [key for key, _ in seen.calls] == ["a"]


def test_a_key_added_while_it_is_worked_on_runs_once_more_afterwards() -> None:
    seen = Recorder(takes=10)

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(1)
        queue.add("a")
        queue.add("a")

    _run(seen, script)
    assert seen.times == [0, 10]


def test_different_keys_run_side_by_side_up_to_the_number_of_workers() -> None:
    seen = Recorder(takes=5)

    async def script(queue: WorkQueue[str]) -> None:
        for key in "abcdef":
            queue.add(key)

    _run(seen, script, workers=3)
    assert seen.most == 3
    assert len(seen.calls) == 6


def test_of_two_planned_visits_the_earlier_counts() -> None:
    seen = Recorder()

    async def script(queue: WorkQueue[str]) -> None:
        queue.add_after("a", 60)
        queue.add_after("a", 20)
        queue.add_after("a", 40)

    _run(seen, script)
    assert seen.times == [20]


def test_the_answer_of_the_handler_plans_the_next_visit() -> None:
    times: list[float] = []

    async def handler(key: str) -> float | None:
        times.append(asyncio.get_running_loop().time())
        return 30.0 if len(times) < 3 else None

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")

    _run(handler, script)
    assert times == [0, 30, 60]


@pytest.mark.parametrize("error", [RetryLaterError, ValueError])
def test_a_failure_brings_the_key_back_later_and_later(error: type[Exception]) -> None:
    seen = Recorder(fails=12, error=error)

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")

    queue = _run(seen, script)
    gaps = [later - earlier for earlier, later in zip(seen.times, seen.times[1:], strict=False)]
    assert len(gaps) == 12
    assert queue.retries == 12
    for failures, gap in enumerate(gaps):
        ceiling = min(60.0, 0.2 * 2**failures)
        assert ceiling / 2 - 0.002 <= gap <= ceiling + 0.002


def test_a_success_resets_the_delay() -> None:
    seen = Recorder(fails=3)

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(100)
        seen._fails = 1
        queue.add("a")

    _run(seen, script)
    assert 0.1 <= seen.times[-1] - seen.times[-2] <= 0.2


def test_a_forgotten_key_is_not_visited() -> None:
    seen = Recorder()

    async def script(queue: WorkQueue[str]) -> None:
        queue.add_after("a", 5)
        queue.forget("a")

    _run(seen, script)
    assert seen.calls == []


def test_the_oldest_key_shows_its_age() -> None:
    async def script(queue: WorkQueue[str]) -> None:
        queue.add("stuck")
        await asyncio.sleep(42)
        assert round(queue.oldest_age()) == 42

    _run(Recorder(takes=100), script, seconds=200)


def test_close_lets_work_under_way_end_and_takes_no_more() -> None:
    seen = Recorder(takes=5)

    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.start(seen, workers=1)
        queue.add("a")
        queue.add("b")
        queue.add_after("c", 1)
        await asyncio.sleep(0.5)
        assert await queue.close(timeout=60)
        queue.add("d")

    run_virtual(main())
    assert [key for key, _ in seen.calls] == ["a", "b"]


def test_close_gives_up_on_work_that_does_not_end() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.start(Recorder(takes=1000), workers=1)
        queue.add("a")
        await asyncio.sleep(1)
        assert not await queue.close(timeout=5)

    run_virtual(main())


def test_what_does_not_get_on_is_counted() -> None:
    seen = Recorder(fails=1000)

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("fails")
        await asyncio.sleep(299)
        assert (queue.stuck(300), queue.failing) == (0, 1)
        await asyncio.sleep(2)
        assert queue.stuck(300) == 1
        seen._fails = 0
        await asyncio.sleep(120)
        assert (queue.stuck(300), queue.failing) == (0, 0)

    _run(seen, script)


def test_a_visit_that_does_not_end_and_what_waits_behind_it_are_stuck() -> None:
    async def script(queue: WorkQueue[str]) -> None:
        queue.add("long")
        queue.add("behind")
        await asyncio.sleep(301)
        assert queue.stuck(300) == 2
        queue.forget("behind")
        assert queue.stuck(300) == 1

    _run(Recorder(takes=500), script, workers=1)


def test_a_queue_whose_last_key_was_forgotten_is_idle_and_closes_at_once() -> None:
    async def main() -> float:
        queue: WorkQueue[str] = WorkQueue()
        queue.start(Recorder(), workers=1)
        queue.add("a")
        queue.forget("a")
        assert await queue.close(timeout=60)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0


def test_a_forgotten_key_leaves_the_one_that_is_worked_on_to_its_end() -> None:
    seen = Recorder(takes=10)

    async def main() -> float:
        queue: WorkQueue[str] = WorkQueue()
        queue.start(seen, workers=1)
        queue.add("a")
        await asyncio.sleep(1)
        queue.add("b")
        queue.forget("b")
        assert await queue.close(timeout=60)
        return asyncio.get_running_loop().time()

    assert round(run_virtual(main())) == 10
    assert [key for key, _ in seen.calls] == ["a"]
