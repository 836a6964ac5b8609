"""What Warning events say: one list for all who ask."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from octo_controller.reconcile.warnings import FRESH_SECONDS, STALE_SECONDS, Warnings, fresh_for
from octo_core.domain.errors import ClusterUnavailableError
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import EVENTS
from tests.unit.octo_controller.fake_api import FakeApi


class Slow(FakeApi):
    """An API whose lists take a while."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.took = 0.0

    async def list_page(self, *about: Any, **query: Any) -> dict[str, Any]:
        page = await super().list_page(*about, **query)
        await asyncio.sleep(0)
        self.now += self.took
        return page

    def event(self, name: str, about: str, said: str, at: str = "2026-01-01T00:00:00Z") -> None:
        self.put(
            EVENTS,
            {
                "metadata": {"name": name},
                "involvedObject": {"kind": "Pod", "name": about},
                "type": "Warning",
                "message": said,
                "lastTimestamp": at,
            },
        )


def warnings_of(api: Slow) -> Warnings:
    return Warnings(cast(KubeClient, api), namespace="octo", clock=lambda: api.now)


async def test_one_list_answers_all_who_ask_at_the_time() -> None:
    api = Slow()
    api.event("1", "a", "later", "2026-01-01T00:00:09Z")
    api.event("2", "a", "first")
    api.event("3", "b", "other")
    warnings = warnings_of(api)
    asked = (("Pod", "a"), ("Pod", "b"), ("Pod", "c"), ("Job", "a"))
    assert await asyncio.gather(*(warnings.about(*about) for about in asked)) == [
        ("first", "later"),
        ("other",),
        (),
        (),
    ]
    assert api.lists == ["events type=Warning"]


async def test_the_answer_is_renewed_after_a_while() -> None:
    api = Slow()
    warnings = warnings_of(api)
    assert await warnings.about("Pod", "a") == ()
    api.event("1", "a", "new")
    api.now += FRESH_SECONDS - 0.1
    assert await warnings.about("Pod", "a") == ()
    api.now += 0.1
    assert await warnings.about("Pod", "a") == ("new",)


async def test_a_list_that_takes_long_is_made_less_often() -> None:
    api = Slow()
    api.took = 2.0
    warnings = warnings_of(api)
    for _ in range(39):
        await warnings.about("Pod", "a")
        api.now += 1
    assert len(api.lists) == 1
    api.now += 1
    await warnings.about("Pod", "a")
    assert len(api.lists) == 2


async def test_a_list_that_fails_is_tried_again_by_the_next_one() -> None:
    api = Slow()
    api.event("1", "a", "said")
    api.refuse_lists = True
    warnings = warnings_of(api)
    with pytest.raises(ClusterUnavailableError):
        await warnings.about("Pod", "a")
    api.refuse_lists = False
    assert await warnings.about("Pod", "a") == ("said",)


@pytest.mark.parametrize(("took", "seconds"), [(0.0, FRESH_SECONDS), (1.0, 20.0), (100.0, STALE_SECONDS)])
def test_an_answer_is_good_for_as_long_as_it_was_dear(took: float, seconds: float) -> None:
    assert fresh_for(took) == seconds
