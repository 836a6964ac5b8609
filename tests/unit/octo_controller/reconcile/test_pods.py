"""The pods of Jobs: of many by one list, and of each only its own."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from octo_controller.reconcile.model import Pods
from octo_controller.reconcile.pods import JOB_NAME_LABEL, JOB_UID_LABEL, TOGETHER, PodLists
from octo_core.domain.errors import ClusterUnavailableError
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import PODS, Resource
from tests.unit.octo_controller.fake_api import FakeApi
from tests.unit.octo_controller.virtual import run_virtual

Raw = dict[str, Any]
GATHER = 0.2


class Slow(FakeApi):
    """Shows what there is at the begin of a list, and takes a second for it."""

    most = 2
    takes = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float] = []

    def pod(self, name: str, job: str, **labels: str) -> None:
        meta = {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
        self.put(PODS, {"metadata": {**meta, "labels": {JOB_NAME_LABEL: job, **labels}}, "status": {}})

    async def list_page(self, resource: Resource, namespace: str | None, **query: Any) -> Raw:
        self.begun.append(asyncio.get_running_loop().time())
        items = (await super().list_page(resource, namespace, **query))["items"]
        await asyncio.sleep(self.takes)
        begin = int(query.get("continue_token") or 0)
        rest = str(begin + self.most) if begin + self.most < len(items) else ""
        return {"items": items[begin : begin + self.most], "metadata": {"continue": rest}}


def lists_of(api: FakeApi) -> PodLists:
    return PodLists(cast(KubeClient, api), namespace="octo", gather=GATHER)


def names(pods: Pods) -> list[str]:
    return [pod.name for pod in pods.items]


def test_who_asks_while_a_list_is_under_way_is_answered_by_the_next_one() -> None:
    async def main() -> None:
        api = Slow()
        for job in "abc":
            api.pod(f"{job}-1", job)
        lists = lists_of(api)
        first = asyncio.create_task(lists.of("a", uid=None))
        await asyncio.sleep(0.5)
        others = [asyncio.create_task(lists.of(job, uid=None)) for job in "abc"]
        await asyncio.sleep(0)
        # What comes after the first list began is in the second, which those who asked then have to see.
        api.pod("a-2", "a")
        assert names(await first) == ["a-1"]
        assert [names(await each) for each in others] == [["a-1", "a-2"], ["b-1"], ["c-1"]]
        # Two pages of the second.
        assert api.lists == [
            f"pods {JOB_NAME_LABEL}=a",
            *[f"pods {JOB_NAME_LABEL} in (a,b,c)"] * 2,
        ]

    run_virtual(main())


def test_the_first_is_listed_at_once_and_the_next_only_after_a_while() -> None:
    async def main() -> None:
        api = Slow()
        api.takes = 0
        lists = lists_of(api)
        for wait in (0, 0, 10):
            await asyncio.sleep(wait)
            await lists.of("a", uid=None)
        assert api.begun == pytest.approx([0, GATHER, GATHER + 10])

    run_virtual(main())


def test_no_list_asks_for_more_than_fits_into_its_address() -> None:
    async def main() -> None:
        api = Slow()
        lists = lists_of(api)
        await asyncio.gather(*(lists.of(f"run-{number}", uid=None) for number in range(2 * TOGETHER + 1)))
        assert sorted(line.count(",") + 1 for line in api.lists) == [1, TOGETHER, TOGETHER]

    run_virtual(main())


def test_pods_of_another_job_that_had_the_name_before_do_not_count() -> None:
    async def main() -> None:
        api = Slow()
        api.pod("old", "a", **{JOB_UID_LABEL: "gone"})
        api.pod("new", "a", **{JOB_UID_LABEL: "here"})
        assert names(await lists_of(api).of("a", uid="here")) == ["new"]
        assert names(await lists_of(api).of("a", uid=None)) == ["new", "old"]

    run_virtual(main())


def test_an_error_is_told_to_all_of_the_list_and_to_nobody_after_it() -> None:
    async def main() -> None:
        api = Slow()
        api.pod("a-1", "a")
        lists = lists_of(api)
        api.refuse_lists = True
        asked = [asyncio.create_task(lists.of(job, uid=None)) for job in "ab"]
        for each in asked:
            with pytest.raises(ClusterUnavailableError):
                await each
        api.refuse_lists = False
        assert names(await lists.of("a", uid=None)) == ["a-1"]

    run_virtual(main())


def test_if_who_lists_is_cut_off_the_next_one_does_it() -> None:
    async def main() -> None:
        api = Slow()
        api.pod("b-1", "b")
        lists = lists_of(api)
        first = asyncio.create_task(lists.of("a", uid=None))
        second = asyncio.create_task(lists.of("b", uid=None))
        await asyncio.sleep(0.5)
        first.cancel()
        assert names(await second) == ["b-1"]

    run_virtual(main())
