"""Controllers that share a namespace, on a real API server, while their number changes: each run is decided once."""

from __future__ import annotations

import asyncpg

from octo_core.domain.partitions import Share, partition_of
from tests.support.controllers import Site
from tests.support.kubectl import eventually


def providers_of(place: Site, share: Share, count: int) -> list[str]:
    """Names whose runs a shard decides."""
    names = (f"p{number}" for number in range(1000))
    namespace = place.kubectl.namespace
    return [name for name in names if share.owns(partition_of(namespace, name))][:count]


async def test_one_controller_becomes_two_and_nothing_is_lost_or_doubled(place: Site) -> None:
    names = [name for index in range(2) for name in providers_of(place, Share(index, 2), 2)]
    for name in names:
        place.provider(name)

    def run(what: str) -> list[str]:
        """A run of each provider, made as kubectl makes it: without a label."""
        made = [f"{what}-{name}" for name in names]
        for job, name in zip(made, names, strict=True):
            place.run(job, name)
        return made

    def wait(jobs: list[str]) -> None:
        for job in jobs:
            place.wait_for_job(job)

    alone = place.controller("alone")
    alone.program.start()
    made = run("before")
    wait(made)

    pair = [place.controller(f"shard{index}", shard_index=index, shard_count=2) for index in range(2)]
    for replica in pair:
        replica.program.start()
    assert [place.holder(f"octo-controller-{index}") for index in range(2)] == [alone.identity, pair[1].identity]
    during = run("during")
    wait(during)
    labels = "jsonpath={.items[*].metadata.labels}"
    assert place.kubectl("get", "octojobs", "-o", labels) == "", "those that wait for the old one write nothing"

    assert alone.program.stop() == 0
    after = run("after")
    wait(after)

    def labelled() -> bool:
        found = place.kubectl.json("get", "octojobs")["items"]
        return all(
            raw["metadata"].get("labels", {}).get("octo.dev/partition")
            == str(partition_of(place.kubectl.namespace, raw["spec"]["providerRef"]["name"]))
            for raw in found
        )

    eventually(labelled, what="every run to carry its partition")
    assert place.jobs_made() == {f"{job}-1": 1 for job in (*made, *during, *after)}

    # Whoever follows takes up what another began.
    for job in (made[0], made[-1]):
        place.kubectl("patch", "octojob", job, "--type=merge", "-p", _CANCEL)
        place.wait_for_state(job, "Cancelled")

    connection = await asyncpg.connect(place.database_url)
    try:
        lost = await connection.fetch("SELECT name FROM jobs WHERE deleted_at IS NOT NULL")
        rows = await connection.fetch("SELECT name FROM jobs")
    finally:
        await connection.close()
    assert not lost, "no run was taken for deleted because another controller has it"
    assert {row["name"] for row in rows} == {*made, *during, *after}
    assert [replica.program.stop() for replica in pair] == [0, 0]


_CANCEL = '{"spec":{"cancel":{"requestedAt":"2026-01-02T03:04:05Z","mode":"Force"}}}'
