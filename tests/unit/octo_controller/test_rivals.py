"""Controllers of two numbers of shards never act on the same partition, while one replaces the other."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import Any, cast

import pytest

from octo_controller.rivals import Rivals, lease_labels, lease_name
from octo_core.domain.errors import ClusterUnavailableError, OctoError
from octo_core.domain.partitions import PARTITIONS, Share
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import Resource
from tests.unit.octo_controller.virtual import run_virtual

Raw = dict[str, Any]


class Leases:
    """The Leases of a namespace, as a list shows them."""

    def __init__(self) -> None:
        self.items: dict[str, Raw] = {}
        self.refuse: OctoError | None = None

    def hold(self, share: Share, holder: str, renewed: float = 0.0) -> None:
        name = lease_name("octo", share)
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}
        self.items[name] = {"metadata": {"name": name, "labels": lease_labels("octo", share)}, "spec": spec}

    async def list_page(self, resource: Resource, namespace: str, **query: Any) -> Raw:
        await asyncio.sleep(0.001)
        if self.refuse:
            raise self.refuse
        assert query["label_selector"] == "octo.dev/lease=octo"
        return {"items": list(self.items.values())}


def rivals(leases: Leases, share: Share) -> Rivals:
    clock = asyncio.get_running_loop().time
    client = cast(KubeClient, leases)
    return Rivals(client, namespace="octo", release="octo", share=share, patience=15, clock=clock)


def test_names_and_labels_tell_layouts_apart() -> None:
    assert lease_name("octo", Share()) == "octo-0"
    assert lease_name("octo", Share(1, 3)) == lease_name("octo", Share(1, 2)) == "octo-1"
    assert lease_labels("octo", Share(1, 3)) == {
        "octo.dev/lease": "octo",
        "octo.dev/shard": "1",
        "octo.dev/shards": "3",
    }


@pytest.mark.parametrize(
    ("other", "holder", "acts"),
    [
        (Share(0, 1), "old", True),
        (Share(0, 1), "", False),
        (Share(0, 2), "old", True),
        (Share(1, 2), "old", False),
        (Share(2, 4), "itself", False),
    ],
)
def test_a_rival_is_one_who_holds_a_lease_and_shares_a_partition(other: Share, holder: str, acts: bool) -> None:
    async def main() -> None:
        leases = Leases()
        leases.hold(other, holder)
        assert bool(await rivals(leases, Share(2, 4)).acting()) is acts

    run_virtual(main())


def test_a_lease_that_says_nothing_of_its_shard_stands_for_everything() -> None:
    async def main() -> None:
        leases = Leases()
        leases.hold(Share(), "old")
        leases.items["octo-0"]["metadata"]["labels"] = {"octo.dev/lease": "octo"}
        assert await rivals(leases, Share(3, 4)).acting()

    run_virtual(main())


def test_a_dead_rival_is_waited_for_as_long_as_its_lease_lasts() -> None:
    async def main() -> None:
        leases = Leases()
        leases.hold(Share(), "dead")
        leases.refuse = ClusterUnavailableError("away")
        asyncio.get_running_loop().call_later(30, setattr, leases, "refuse", None)
        async with asyncio.timeout(1000):
            await rivals(leases, Share(1, 2)).gone(every=2)
        assert 45 <= asyncio.get_running_loop().time() <= 50, "what was not seen does not count as waited"

    run_virtual(main())


@pytest.mark.parametrize("seed", range(10))
def test_while_the_number_changes_no_partition_is_anybodys_twice(seed: int) -> None:
    """Layouts replace one another at random moments, old ones coming back included, as in a rollout undone."""

    async def main() -> None:
        rng = random.Random(seed)
        loop = asyncio.get_running_loop()
        leases = Leases()
        acting: dict[str, Share] = {}
        holding: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        turns = 0

        async def controller(share: Share) -> None:
            """Holds its lease, renews it, looks, acts, and at last releases it, or dies with it."""
            name = lease_name("octo", share)
            async with holding[name]:
                await tenure(share, name)

        async def tenure(share: Share, name: str) -> None:
            nonlocal turns
            identity = f"{name}/{rng.random()}"

            async def renew() -> None:
                while True:
                    leases.hold(share, identity, loop.time())
                    await asyncio.sleep(2)

            leases.hold(share, identity, loop.time())
            renewing = asyncio.create_task(renew())
            try:
                async with asyncio.timeout(rng.uniform(1, 60)):
                    await rivals(leases, share).gone(every=2)
                    acting[name] = share
                    turns += 1
                    await asyncio.sleep(rng.uniform(1, 30))
            except TimeoutError:
                pass
            acting.pop(name, None)
            renewing.cancel()
            if rng.random() < 0.7:
                leases.hold(share, "")

        async def layout(count: int) -> None:
            await asyncio.gather(*(controller(Share(index, count)) for index in range(count)))

        rollouts = []
        for _ in range(30):
            rollouts.append(asyncio.create_task(layout(rng.choice([1, 2, 3, 4]))))
            for _ in range(40):
                await asyncio.sleep(rng.uniform(0.01, 1))
                owners = [sum(share.owns(p) for share in acting.values()) for p in range(PARTITIONS)]
                assert max(owners) <= 1, acting
        assert turns > 10
        for rollout in rollouts:
            rollout.cancel()
        await asyncio.gather(*rollouts, return_exceptions=True)

    run_virtual(main())
