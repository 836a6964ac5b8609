"""Events: one object for the same words, bounded in rate, and in nobody's way."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from octo_controller.announcer import Announcer, TokenBucket
from octo_controller.reconcile.announcements import Announcement, Type
from octo_core.domain.errors import ForbiddenError
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import EVENTS_V1
from tests.unit.octo_controller.builders import at, job
from tests.unit.octo_controller.fake_api import FakeApi

TROUBLE = Announcement(Type.WARNING, "SecretMissing", 'secret "bank" not found')


async def written(fake: FakeApi, announcer: Announcer) -> list[dict[str, Any]]:
    """Have the announcements dealt with; the Events there are then."""
    task = asyncio.create_task(announcer.run())
    await announcer.settled()
    task.cancel()
    return [raw for (plural, _), raw in fake.objects.items() if plural == EVENTS_V1.plural]


def make(fake: FakeApi) -> Announcer:
    return Announcer(cast("KubeClient", fake), namespace="octo", clock=lambda: at(5))


async def test_an_event_is_about_the_job_and_says_who_says_it() -> None:
    fake = FakeApi()
    announcer = make(fake)
    announcer.announce(job(), TROUBLE)
    (event,) = await written(fake, announcer)
    assert event["regarding"]["uid"] == "uid-run"
    assert (event["type"], event["reason"], event["note"]) == ("Warning", "SecretMissing", 'secret "bank" not found')
    assert event["eventTime"] == "2026-01-02T03:04:10.000000Z"
    assert event["reportingController"] == "octo.dev/controller"


async def test_the_same_words_again_are_a_count_also_after_a_restart() -> None:
    fake = FakeApi()
    for count in (1, 2, 3):
        announcer = make(fake)
        announcer.announce(job(), TROUBLE)
        (event,) = await written(fake, announcer)
        assert (event.get("series") or {}).get("count", 1) == count


async def test_other_words_another_run_or_another_object_of_that_name_are_other_events() -> None:
    fake = FakeApi()
    announcer = make(fake)
    announcer.announce(job(), TROUBLE)
    announcer.announce(job(), Announcement(Type.WARNING, "SecretMissing", 'secret "s3" not found'))
    announcer.announce(job(uid="made-again"), TROUBLE)
    assert len(await written(fake, announcer)) == 3


async def test_too_many_are_dropped_and_counted() -> None:
    fake = FakeApi()
    announcer = make(fake)
    for number in range(200):
        announcer.announce(job(), Announcement(Type.NORMAL, "Succeeded", str(number)))
    assert len(await written(fake, announcer)) == announcer.written < 30
    assert announcer.dropped == 200 - announcer.written


async def test_an_api_server_that_refuses_is_no_failure() -> None:
    fake = FakeApi()
    fake.refuse[f"create {EVENTS_V1.plural}"] = ForbiddenError("no")
    announcer = make(fake)
    announcer.announce(job(), TROUBLE)
    assert await written(fake, announcer) == []
    assert announcer.dropped == 1


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(1, 10), st.floats(0.1, 5))
def test_a_bucket_never_lets_more_pass_than_its_rate(steps: list[float], burst: int, rate: float) -> None:
    bucket, now, passed = TokenBucket(burst=burst, per_second=rate), 0.0, 0
    for step in steps:
        now += step
        passed += bucket.take(now)
        assert passed <= burst + now * rate + 1e-6
