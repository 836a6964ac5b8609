"""Who takes an OctoJob in, and who gives it its label."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from octo_controller.placement import Placement
from octo_core.domain.errors import ClusterUnavailableError
from octo_core.domain.names import LABEL_PARTITION
from octo_core.domain.partitions import Share, partition_of
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS
from tests.unit.octo_controller.fake_api import FakeApi

Raw = dict[str, Any]
PARTITION = partition_of("octo", "bank")
OWNER, OTHER = PARTITION % 3, (PARTITION + 1) % 3


def job(label: str | None, **meta: Any) -> Raw:
    labels = {} if label is None else {LABEL_PARTITION: label}
    return {"metadata": {"name": "a", "uid": "u", "labels": labels, **meta}, "spec": {"providerRef": {"name": "bank"}}}


def placement(api: FakeApi, share: Share) -> Placement:
    return Placement(cast(KubeClient, api), namespace="octo", share=share)


async def labelled(api: FakeApi, placement: Placement) -> Raw:
    running = asyncio.create_task(placement.run())
    async with asyncio.timeout(240):
        while True:
            raw = api.objects[("octojobs", "a")]
            if raw["metadata"]["labels"].get(LABEL_PARTITION) == str(PARTITION):
                break
            await asyncio.sleep(0.01)
    running.cancel()
    return raw


@pytest.mark.parametrize("label", [None, str(PARTITION), str(PARTITION + 1), "x"])
def test_a_single_controller_takes_everything_and_labels_nothing(label: str | None) -> None:
    api = FakeApi()
    assert placement(api, Share()).takes(job(label), gone=False)
    assert placement(api, Share()).takes(job(label), gone=True)


@pytest.mark.parametrize("label", [None, str(PARTITION), str(PARTITION + 1), str(PARTITION + 3), "x"])
def test_at_most_one_of_three_takes_it_and_only_by_the_right_label(label: str | None) -> None:
    takers = [index for index in range(3) if placement(FakeApi(), Share(index, 3)).takes(job(label), gone=False)]
    assert takers == ([OWNER] if label == str(PARTITION) else [])


@pytest.mark.parametrize("label", [None, str(PARTITION + 1), "x"])
async def test_whoever_hears_of_one_without_the_right_label_gives_it_that(label: str | None) -> None:
    api = FakeApi()
    raw = api.put(OCTOJOBS, job(label))
    other = placement(api, Share(OTHER, 3))
    assert not other.takes(raw, gone=False)
    placed = await labelled(api, other)
    assert not other.takes(placed, gone=False)
    assert placement(api, Share(OWNER, 3)).takes(placed, gone=False)


async def test_a_label_that_could_not_be_given_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octo_controller.placement.RETRY_SECONDS", 0.01)
    api = FakeApi()
    other = placement(api, Share(OTHER, 3))
    other.takes(api.put(OCTOJOBS, job(None)), gone=False)
    api.refuse["patch octojobs"] = ClusterUnavailableError("away")
    asyncio.get_running_loop().call_later(0.1, api.refuse.clear)
    await labelled(api, other)
    assert len(api.writes) > 1


def test_one_that_leaves_the_selector_is_not_taken_for_deleted() -> None:
    owner = placement(FakeApi(), Share(OWNER, 3))
    label = str(PARTITION)
    assert not owner.takes(job(label), gone=True)
    assert owner.takes(job(label, deletionTimestamp="2026-01-02T03:04:05Z"), gone=True)


def test_one_owner_for_each_provider() -> None:
    owners = [index for index in range(3) if placement(FakeApi(), Share(index, 3)).owns_provider("bank")]
    assert owners == [OWNER]
