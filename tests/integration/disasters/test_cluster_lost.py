"""The cluster is lost: a new one takes over what Postgres knows of it, and ends nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from octo_core.db import idempotency, mirrors, provider_rows
from octo_core.db.idempotency import Claim as KeyClaim
from octo_core.db.mirrors import Claim, Found
from octo_core.db.projection import live_versions, project
from octo_core.db.provider_rows import ProviderCopy
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.integration.disasters.conftest import Rows, commands, run, url_of
from tests.integration.disasters.test_postgres_lost import octojob
from tests.support.control_plane import ControlPlane, control_plane
from tests.support.controllers import site
from tests.support.kubectl import KubectlError
from tests.support.waiting import until

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
def new_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster that knows nothing."""
    folder = tmp_path / "new"
    folder.mkdir()
    with control_plane(folder) as plane:
        plane.install_crds()
        yield plane


async def test_a_new_cluster_takes_over(
    bare_control_plane: ControlPlane,
    new_plane: ControlPlane,
    database_settings: DatabaseSettings,
    rows: Rows,
    tmp_path: Path,
) -> None:
    url = url_of(database_settings)
    with site(bare_control_plane, url, tmp_path) as old:
        lost = old.controller("old")
        lost.program.start()
        old.provider("hello")
        old.run("over", "hello", cancel={"requestedAt": "2026-01-02T03:04:05Z"})
        old.run("under-way", "hello")
        old.run("later", "hello", startAfter=LATER)
        await until(_states(rows, over="Cancelled", later="Pending", **{"under-way": "Starting"}), within=240)
        assert lost.program.stop() == 0, "which writes down what it has"
    before = await rows()

    with site(new_plane, url, tmp_path, namespace=old.kubectl.namespace) as new:
        new.controller("new").program.start()
        new.provider("other")
        new.run("first", "other", startAfter=LATER)
        # By then what the first list found missing would have been written too.
        await until(_states(rows, first="Pending", over="Cancelled", later="Pending", **{"under-way": "Starting"}))
        now = await rows()
        kept = ("state", "deleted_at", "last_event", "resource_version")
        assert {uid: [now[uid][key] for key in kept] for uid in before} == {
            uid: [row[key] for key in kept] for uid, row in before.items()
        }
        assert all(now[uid]["lost_cluster"] for uid in before)

        settings = {
            "database_url": url,
            "kubeconfig": new_plane.kubeconfig,
            "namespace": new.kubectl.namespace,
        }
        said = run(commands("The cluster is lost"), folder=tmp_path, **settings)
        assert said == "restored 1 providers; of the lost runs 2 run again, 0 were ended, 1 were over\n"
        new.wait_for_job("under-way")
        assert new.kubectl.json("get", "octoprovider", "hello")["spec"]["container"]["image"]
        with pytest.raises(KubectlError, match="not found"):
            new.kubectl("get", "octojob", "over")
        after = await rows()
        for uid, row in before.items():
            end = ("Cancelled", "Cancelled") if row["name"] == "over" else ("Cancelled", "ClusterLost")
            assert (after[uid]["state"], after[uid]["reason"]) == end, row["name"]
            assert after[uid]["deleted_at"] is not None
            if row["name"] != "over":
                made = new.kubectl.json("get", "octojob", row["name"])
                assert made["spec"]["rerunOf"] == {"name": row["name"], "uid": uid}
        said = run(commands("The cluster is lost"), folder=tmp_path, **settings)
        assert said == "restored 0 providers; of the lost runs 0 run again, 0 were ended, 0 were over\n"


def _states(rows: Rows, **wanted: str) -> Any:
    async def probe() -> bool:
        return {row["name"]: row["state"] for row in (await rows()).values()} == wanted

    return probe


async def test_runs_may_be_ended_instead(
    bare_control_plane: ControlPlane,
    database_settings: DatabaseSettings,
    database: Database,
    rows: Rows,
    tmp_path: Path,
) -> None:
    with site(bare_control_plane, url_of(database_settings), tmp_path) as place:
        namespace = place.kubectl.namespace
        settings = {
            "database_url": url_of(database_settings),
            "kubeconfig": bare_control_plane.kubeconfig,
            "namespace": namespace,
        }
        async with database.transaction() as session:
            await mirrors.claim(session, Claim(namespace, "0", "token", "a lost one"), now=NOW)
            jobs = [octojob("u1", "a", 1, "Running"), octojob("u2", "b", 2, "Queued"), octojob("u3", "c", 3, "Failed")]
            for raw in jobs:
                raw["metadata"]["namespace"] = namespace
            await project(session, jobs, now=NOW)
        said = run("octo-controller restore --unfinished end", folder=tmp_path, **settings)
        assert said == "restored 0 providers; of the lost runs 0 run again, 2 were ended, 1 were over\n"
        found = {row["name"]: (row["state"], row["reason"], bool(row["deleted_at"])) for row in (await rows()).values()}
        assert found == {
            "a": ("Cancelled", "ClusterLost", True),
            "b": ("Cancelled", "ClusterLost", True),
            "c": ("Failed", None, True),
        }
        assert place.kubectl.json("get", "octojobs")["items"] == []


async def test_an_idempotency_key_stands_for_the_run_that_was_made_again(
    bare_control_plane: ControlPlane, database_settings: DatabaseSettings, database: Database, tmp_path: Path
) -> None:
    with site(bare_control_plane, url_of(database_settings), tmp_path) as place:
        namespace = place.kubectl.namespace
        raw = octojob("u1", "a", 1, "Running")
        raw["metadata"]["namespace"] = namespace
        claim = KeyClaim("me", "k" * 64, "f" * 64, namespace, "a", {}, NOW, datetime(2099, 1, 1, tzinfo=UTC))
        async with database.transaction() as session:
            await mirrors.claim(session, Claim(namespace, "0", "token", "a lost one"), now=NOW)
            await project(session, [raw], now=NOW)
            await idempotency.finish(session, claim, "u1")
        run(
            "octo-controller restore --unfinished rerun",
            folder=tmp_path,
            database_url=url_of(database_settings),
            kubeconfig=bare_control_plane.kubeconfig,
            namespace=namespace,
        )
        made = place.kubectl.json("get", "octojob", "a")
        async with database.transaction() as session:
            found = await idempotency.find(session, "me", "k" * 64, now=NOW)
        assert found is not None
        assert found.job_uid == made["metadata"]["uid"]


async def test_a_claim_finds_out_whose_rows_there_are(database: Database) -> None:
    ours, theirs = Claim("octo", "0", "one", "ours"), Claim("octo", "0", "two", "theirs")
    copy = ProviderCopy("bank", "p1", 1, {}, {}, {"container": {"image": "x"}})

    async def claimed(wanted: Claim) -> tuple[Found, set[str], list[str]]:
        async with database.transaction() as session:
            found = await mirrors.claim(session, wanted, now=NOW)
        async with database.transaction() as session:
            lost = await provider_rows.lost(session, "octo")
            return found, set(await live_versions(session, "octo")), [copy.name for copy in lost]

    assert await claimed(ours) == (Found.NOTHING, set(), [])
    async with database.transaction() as session:
        await project(session, [octojob("u1", "a", 1, "Running")], now=NOW)
        await provider_rows.put(session, "octo", [copy], now=NOW)
    assert await claimed(ours) == (Found.OWN, {"u1"}, [])
    assert await claimed(Claim("octo", "0", "next", "ours")) == (Found.EARLIER, {"u1"}, [])
    assert await claimed(Claim("octo", "0", "blind", None)) == (Found.EARLIER, {"u1"}, [])
    assert await claimed(ours) == (Found.EARLIER, {"u1"}, [])
    assert await claimed(theirs) == (Found.OTHER_CLUSTER, set(), ["bank"])
    assert await claimed(ours) == (Found.OTHER_CLUSTER, {"u1"}, []), "the lost one was not lost"
    async with database.transaction() as session:
        await mirrors.forget(session)
    assert await claimed(ours) == (Found.NOTHING, {"u1"}, [])
