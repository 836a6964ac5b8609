"""The Lease in virtual time: at most one acts, whatever becomes of requests, answers, clocks and processes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from octo_controller.engine.lease import Lease, LeaseLostError, LeaseTimes
from tests.unit.octo_controller.virtual import run_virtual

Raw = dict[str, Any]
T = TypeVar("T")
TIMES = LeaseTimes()


class Server:
    """One Lease with optimistic concurrency, as the API server has it."""

    def __init__(self) -> None:
        self.lease: Raw | None = None
        self.version = 0

    def put(self, spec: Raw) -> Raw:
        self.version += 1
        self.lease = {"metadata": {"resourceVersion": str(self.version)}, "spec": deepcopy(spec)}
        return deepcopy(self.lease)


class Line:
    """One candidate's way to the server. ``fault`` is asked before each request for what goes wrong with it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.fault: Callable[[str], str] = lambda verb: ""
        self.requests: list[str] = []

    async def read(self) -> Raw | None:
        return await self._do("read", lambda: deepcopy(self._server.lease))

    async def create(self, spec: Raw) -> Raw:
        def create() -> Raw:
            if self._server.lease is not None:
                raise RuntimeError("already exists")
            return self._server.put(spec)

        return await self._do("create", create)

    async def write(self, spec: Raw, version: str) -> Raw:
        def write() -> Raw:
            if self._server.lease is None or self._server.lease["metadata"]["resourceVersion"] != version:
                raise RuntimeError("conflict")
            return self._server.put(spec)

        return await self._do("write", write)

    async def _do(self, verb: str, action: Callable[[], T]) -> T:
        self.requests.append(verb)
        fault = self.fault(verb)
        if fault == "refused":
            raise ConnectionRefusedError
        if fault == "hangs":
            await asyncio.sleep(3600)
        await asyncio.sleep(0.01)
        answer = action()
        if fault == "answer lost":
            await asyncio.sleep(3600)
        return answer


class Candidate:
    """A process: its lease, its line, and a clock that stands ``ahead`` of the loop's."""

    def __init__(self, server: Server, name: str, *, wall: float = 0.0, seed: int = 0) -> None:
        self.line = Line(server)
        self.ahead = 0.0
        loop = asyncio.get_running_loop()
        self.lease = Lease(
            self.line,
            identity=name,
            times=TIMES,
            clock=lambda: loop.time() + self.ahead,
            wall=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=wall + loop.time()),
            rng=random.Random(seed),
        )


def run(main: Coroutine[Any, Any, None]) -> None:
    """In virtual time, of which there is an end."""

    async def bounded() -> None:
        async with asyncio.timeout(20_000):
            await main

    run_virtual(bounded())


def acts(candidate: Candidate) -> bool:
    """Whether it may act right now."""
    return candidate.lease.held


def now() -> float:
    return asyncio.get_running_loop().time()


async def lost_after(candidate: Candidate) -> float:
    """Keep it until it is lost; how long that took."""
    began = now()
    with pytest.raises(LeaseLostError):
        await candidate.lease.keep()
    assert not acts(candidate)
    assert candidate.lease.lost
    return now() - began


@pytest.mark.parametrize(
    "times",
    [
        {"duration": 10.0, "renew_within": 10.0},
        {"renew_within": 4.0},
        {"retry": 0.0},
        {"request": 0.0},
        {"duration": 0.5, "renew_within": 0.4, "retry": 0.1},
    ],
)
def test_times_that_leave_no_room_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lease"):
        LeaseTimes(**times)


def test_it_is_made_kept_and_released() -> None:
    async def main() -> None:
        server = Server()
        a = Candidate(server, "a")
        assert await a.lease.try_acquire()
        keeping = asyncio.create_task(a.lease.keep())
        await asyncio.sleep(3600)
        assert acts(a)
        assert server.version == pytest.approx(3600 / 1.8, rel=0.1), "one write a renewal"
        assert a.line.requests.count("read") == 1
        keeping.cancel()
        assert await a.lease.release()
        assert not acts(a)
        assert not a.lease.lost
        assert server.lease is not None
        assert server.lease["spec"]["holderIdentity"] == ""
        assert server.lease["spec"]["leaseDurationSeconds"] == 15

    run(main())


def test_a_released_lease_is_taken_over_at_the_next_look() -> None:
    async def main() -> None:
        server = Server()
        a, b = Candidate(server, "a"), Candidate(server, "b")
        await a.lease.acquire()
        waiting = asyncio.create_task(b.lease.acquire())
        await asyncio.sleep(5)
        await a.lease.release()
        released = now()
        await waiting
        assert now() - released <= TIMES.retry * 1.2 + 0.1
        assert (b.lease.held, b.lease.holder, b.lease.transitions) == (True, "b", 1)

    run(main())


@pytest.mark.parametrize("seed", range(5))
def test_a_dead_holder_is_replaced_within_20_seconds_and_never_before_its_time(seed: int) -> None:
    async def main() -> None:
        server = Server()
        # Wall clocks that are a day apart change nothing.
        a, b = Candidate(server, "a", wall=86400, seed=seed), Candidate(server, "b", seed=seed + 100)
        await a.lease.acquire()
        keeping = asyncio.create_task(a.lease.keep())
        waiting = asyncio.create_task(b.lease.acquire())
        await asyncio.sleep(60)
        assert not waiting.done()
        keeping.cancel()
        died = now()
        await waiting
        assert TIMES.duration - 2 <= now() - died <= 20
        assert not acts(a)

    run(main())


def test_a_pod_that_is_started_again_need_not_wait_for_itself() -> None:
    async def main() -> None:
        server = Server()
        first, second = Candidate(server, "pod_uid"), Candidate(server, "pod_uid")
        await first.lease.acquire()
        assert await second.lease.try_acquire()
        assert second.lease.transitions == 0
        # Were the first still alive it would end: a tenure is a name and a time.
        assert await lost_after(first) < TIMES.renew_within

    run(main())


@pytest.mark.parametrize("fault", ["refused", "hangs", "answer lost"])
def test_whatever_goes_wrong_with_renewals_it_stops_in_time(fault: str) -> None:
    async def main() -> None:
        server = Server()
        a, b = Candidate(server, "a"), Candidate(server, "b")
        await a.lease.acquire()
        waiting = asyncio.create_task(b.lease.acquire())
        renewed = now()
        a.line.fault = lambda verb: fault if verb == "write" else ""
        with pytest.raises(LeaseLostError):
            await a.lease.keep()
        assert now() - renewed <= TIMES.renew_within + 0.1
        await waiting
        assert now() - renewed >= TIMES.duration

    run(main())


@pytest.mark.parametrize("fault", ["refused", "answer lost"])
def test_a_short_trouble_is_survived(fault: str) -> None:
    async def main() -> None:
        server = Server()
        a = Candidate(server, "a")
        await a.lease.acquire()
        keeping = asyncio.create_task(a.lease.keep())
        await asyncio.sleep(30)
        troubled = now()
        a.line.fault = lambda verb: fault if now() < troubled + 5 else ""
        await asyncio.sleep(60)
        assert acts(a)
        keeping.cancel()

    run(main())


def test_a_holder_that_slept_may_not_act_when_it_wakes() -> None:
    async def main() -> None:
        server = Server()
        a = Candidate(server, "a")
        await a.lease.acquire()
        assert acts(a)
        a.ahead = TIMES.renew_within  # stopped, or its machine was asleep; nobody has taken over
        assert not acts(a)
        assert a.lease.lost
        assert await lost_after(a) == 0
        a.ahead = 0
        assert not acts(a), "what was lost stays lost"

    run(main())


def test_a_renewal_that_is_answered_too_late_does_not_count() -> None:
    async def main() -> None:
        server = Server()
        a = Candidate(server, "a")
        await a.lease.acquire()

        def sleeps(verb: str) -> str:
            a.ahead += 30  # between sending and the answer
            return ""

        a.line.fault = sleeps
        assert await lost_after(a) < TIMES.retry + 1

    run(main())


def test_one_that_was_replaced_notices_at_its_next_renewal() -> None:
    async def main() -> None:
        server = Server()
        a = Candidate(server, "a")
        await a.lease.acquire()
        assert server.lease is not None
        server.put({**server.lease["spec"], "holderIdentity": "b"})
        assert await lost_after(a) <= 2 * TIMES.retry + 0.1

    run(main())


def test_a_deleted_lease_is_lost_and_not_free_for_those_who_knew_its_holder() -> None:
    async def main() -> None:
        server = Server()
        a, b = Candidate(server, "a"), Candidate(server, "b")
        await a.lease.acquire()
        assert not await b.lease.try_acquire()
        server.lease = None
        assert not await b.lease.try_acquire()
        assert await lost_after(a) <= 2 * TIMES.retry + 0.1
        await b.lease.acquire()
        assert now() >= TIMES.duration

    run(main())


def test_somebody_elses_note_on_the_lease_is_no_sign_of_life_and_no_loss() -> None:
    async def main() -> None:
        server = Server()
        a, b = Candidate(server, "a"), Candidate(server, "b")
        await a.lease.acquire()
        assert server.lease is not None
        server.put(server.lease["spec"])
        keeping = asyncio.create_task(a.lease.keep())
        await asyncio.sleep(30)
        assert acts(a)
        keeping.cancel()
        waiting = asyncio.create_task(b.lease.acquire())
        for _ in range(20):
            server.put(server.lease["spec"])
            await asyncio.sleep(1)
        await waiting
        assert acts(b)

    run(main())


def test_a_release_whose_answer_is_lost_is_tried_again() -> None:
    async def main() -> None:
        server = Server()
        a, b = Candidate(server, "a"), Candidate(server, "b")
        await a.lease.acquire()
        faults = iter(["refused", ""])
        a.line.fault = lambda verb: next(faults, "")
        assert await a.lease.release()
        assert await b.lease.try_acquire()

    run(main())


def test_a_release_never_takes_the_lease_from_another() -> None:
    async def main() -> None:
        server = Server()
        a = Candidate(server, "a")
        await a.lease.acquire()
        assert server.lease is not None
        taken = server.put({**server.lease["spec"], "holderIdentity": "b"})
        assert not await a.lease.release()
        assert server.lease == taken

    run(main())


@pytest.mark.parametrize("seed", range(12))
def test_two_never_act_at_once(seed: int) -> None:
    """Three candidates with random faults, pauses and restarts, and a record of who could have acted when."""

    async def main() -> None:
        rng = random.Random(seed)
        server = Server()
        tenures = 0

        async def process(name: str) -> None:
            nonlocal tenures
            while True:
                mood = rng.choice(["", "", "refused", "hangs", "answer lost"])
                life = Candidate(server, f"{name}{len(lives)}", wall=rng.uniform(-1e6, 1e6), seed=rng.randrange(1000))
                life.line.fault = lambda verb, mood=mood: mood if rng.random() < 0.3 else ""  # type: ignore[misc]
                lives.append(life)
                keeping = asyncio.create_task(asyncio.sleep(0))
                try:
                    async with asyncio.timeout(rng.uniform(20, 120)):  # then it is killed
                        await life.lease.acquire()
                        tenures += 1
                        keeping = asyncio.create_task(life.lease.keep())
                        await asyncio.sleep(rng.uniform(1, 60))
                        if rng.random() < 0.3:  # it sleeps: nothing runs, time goes on
                            keeping.cancel()
                            await asyncio.sleep(rng.uniform(1, 40))
                            keeping = asyncio.create_task(life.lease.keep())
                        if rng.random() < 0.3:
                            keeping.cancel()
                            await life.lease.release()
                            continue
                        await keeping
                except (TimeoutError, LeaseLostError):
                    pass
                finally:
                    keeping.cancel()
                    await asyncio.gather(keeping, return_exceptions=True)

        lives: list[Candidate] = []
        processes = [asyncio.create_task(process(name)) for name in "abc"]
        for _ in range(2400):
            await asyncio.sleep(0.25)
            assert sum(acts(life) for life in lives[-20:]) <= 1
        assert tenures > 3
        for each in processes:
            each.cancel()
        await asyncio.gather(*processes, return_exceptions=True)

    run(main())
