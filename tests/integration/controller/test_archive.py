"""Runs that are over leave the controller's view, on a real API server and a real Postgres."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from tests.support.controllers import Site
from tests.support.kubectl import eventually
from tests.support.waiting import until

FAR = "2099-01-01T00:00:00Z"
CANCEL = {"requestedAt": "2026-01-02T03:04:05Z", "reason": "not today"}
LABEL = "octo.dev/archived"


async def row(place: Site, name: str) -> Any:
    connection = await asyncpg.connect(place.database_url)
    try:
        return await connection.fetchrow(
            "SELECT resource_version, state, deleted_at FROM jobs WHERE namespace = $1 AND name = $2",
            place.kubectl.namespace,
            name,
        )
    finally:
        await connection.close()


async def test_what_is_over_is_out_of_view_and_still_looked_after(place: Site) -> None:
    def octojob(name: str) -> Any:
        return place.kubectl.json("get", "octojob", name)

    def labelled(name: str) -> bool:
        return LABEL in octojob(name)["metadata"].get("labels", {})

    controller = place.controller("one", archive_after_seconds=0)
    controller.program.start()
    place.provider("bank")
    place.run("over", "bank", startAfter=FAR, cancel=CANCEL)
    place.run("short", "bank", startAfter=FAR, cancel=CANCEL, ttl={"afterFailureSeconds": 1200})
    place.run("waits", "bank", startAfter=FAR)
    eventually(lambda: labelled("over"), what="the label")
    raw = octojob("over")
    assert "finalizers" not in raw["metadata"]
    place.wait_for_state("short", "Cancelled")
    place.wait_for_state("waits", "Pending")
    eventually(lambda: controller.metric('jobs{state="Cancelled"}') == 1, what="one of the two out of view")

    async def mirrored() -> bool:
        found = await row(place, "over")
        return bool(found and found["resource_version"] == int(raw["metadata"]["resourceVersion"]))

    await until(mirrored, within=240)

    # By somebody's hand a run that waits loses its place in view, and gets it back.
    place.kubectl("label", "octojob", "waits", f"{LABEL}=true")
    eventually(lambda: not labelled("waits"), what="the label is taken off")
    place.kubectl("patch", "octojob", "waits", "--type=merge", "-p", json.dumps({"spec": {"cancel": CANCEL}}))
    place.wait_for_state("waits", "Cancelled")

    # Nobody has to let go of it.
    assert controller.program.stop() == 0
    place.kubectl("delete", "octojob", "over")
    found = await row(place, "over")
    assert found["deleted_at"] is None
    controller.program.start()

    async def marked() -> bool:
        return (await row(place, "over"))["deleted_at"] is not None

    await until(marked, within=240)

    eventually(lambda: labelled("waits"), what="the label of the other")
    place.kubectl("delete", "octojob", "waits")

    async def other_marked() -> bool:
        return (await row(place, "waits"))["deleted_at"] is not None

    await until(other_marked, within=240)
    assert not labelled("short")


async def test_one_that_nothing_holds_is_put_aside_and_its_row_stays_until_it_is_gone(place: Site) -> None:
    """The watch tells of both alike: by a DELETED with the object as it was, which no deletion had marked before."""
    first = place.controller("one", archive_after_seconds=3600)
    first.program.start()
    place.provider("bank")
    place.run("loose", "bank", startAfter=FAR, cancel=CANCEL)
    place.run("short", "bank", startAfter=FAR, cancel=CANCEL, ttl={"afterFailureSeconds": 1200})
    for name in ("loose", "short"):
        place.kubectl("wait", "--for=condition=Archived", f"octojob/{name}", "--timeout=240s", timeout=250)
        place.kubectl("patch", "octojob", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert first.program.stop() == 0
    second = place.controller("two", archive_after_seconds=0)
    second.program.start()

    def labelled(name: str) -> bool:
        return LABEL in place.kubectl.json("get", "octojob", name)["metadata"].get("labels", {})

    eventually(lambda: labelled("loose"), what="the label")
    assert not labelled("short")
    place.kubectl("delete", "octojob", "short")

    async def marked() -> bool:
        return (await row(place, "short"))["deleted_at"] is not None

    # What is heard is taken up in its order, so the other was looked for by then.
    await until(marked, within=240)
    assert (await row(place, "loose"))["deleted_at"] is None
    place.kubectl("delete", "octojob", "loose")

    async def loose_marked() -> bool:
        return (await row(place, "loose"))["deleted_at"] is not None

    await until(loose_marked, within=240)
