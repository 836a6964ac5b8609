"""`make chaos-idempotency`: clients send requests with the same keys, while api, Postgres and API server are killed.

One OctoJob for each key, ever, by etcd's own history; one answer to all who sent it; its row and its audit row there.
Each answer is to the request that it came for.
Which process is killed when comes from the seed; what the machine makes of it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
from pydantic import SecretStr
from sqlalchemy import text

from octo_api.auth.credentials import hash_secret, new_key
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.migrate import upgrade
from octo_core.db.session import Database
from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.settings import DatabaseSettings
from tests.bench.controller_load import octoprovider
from tests.support.control_plane import ControlPlane, control_plane
from tests.support.mortal_api import MortalApi, mortal_api, mother_of_apis
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.waiting import until

CLIENTS, KEYS, FAULTS = 50, 16, 4
NAMESPACE, PROVIDER = "octo", "provider-0"
PEPPER = "p" * 32
LOG = Path(__file__).parents[2] / ".octo" / "chaos" / "idempotency-api.log"
"""What all the processes of the api said, kept for whoever has to find out why a round failed."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Rig:
    """What is killed, and the ways to look at what is left."""

    api: MortalApi
    plane: ControlPlane
    postgres: PostgresServer
    database: Database
    client: httpx.AsyncClient


async def ask(on: Rig, key: str) -> tuple[str, str]:
    """The run of a key, asked for until there is an answer; and the id of the request that was answered."""
    while True:
        # Named here, so that an answer to somebody else is known as one, and the api's log tells the key of each.
        sent = f"{key}.{next(_numbers)}"
        headers = {"Idempotency-Key": key, "X-Request-Id": sent}
        try:
            answer = await on.client.post("/v1/jobs", json={"provider": PROVIDER}, headers=headers)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.headers["X-Request-Id"] != sent:
            ours = answer.extensions["network_stream"].get_extra_info("client_addr")
            raise AssertionError(f"request {sent} was answered with {dict(answer.headers)} {answer.text}, at {ours}")
        if answer is not None and answer.status_code == 202:
            return str(answer.json()["id"]), sent
        # Whoever is told to try again may; anything else would be an error.
        assert answer is None or answer.json().get("retryable"), answer.text
        await asyncio.sleep(0.05)


async def kill_some(on: Rig, rng: random.Random) -> list[str]:
    """Kill one after the other, and start it again; what was killed."""

    def store(kill: Callable[[], None], start: Callable[[], None]) -> None:
        kill()
        start()

    killed = []
    for _ in range(FAULTS):
        await asyncio.sleep(rng.uniform(0, 0.3))
        what = rng.choice(("api", "api", "api", "Postgres", "API server"))
        killed.append(what)
        if what == "api":
            on.api.kill()
            await on.api.start()
        elif what == "Postgres":
            await asyncio.to_thread(store, on.postgres.kill, on.postgres.start)
        else:
            # On a busy machine it has not come to what waits to be accepted: that is reset, between TCP and TLS.
            on.plane.apiserver.freeze()
            await asyncio.sleep(rng.uniform(0, 0.3))
            await asyncio.to_thread(store, on.plane.apiserver.kill, on.plane.apiserver.start)
    return killed


async def play(on: Rig, number: int, seed: int) -> list[str]:
    """One round; raises AssertionError where something is doubled or lost."""
    rng = random.Random(seed)
    keys = [f"{number}-{rng.randrange(KEYS)}" for _ in range(CLIENTS)]

    async def one(key: str) -> tuple[str, str, str]:
        await asyncio.sleep(rng.uniform(0, 0.5))
        return key, *await ask(on, key)

    async with asyncio.TaskGroup() as group:
        killing = group.create_task(kill_some(on, rng))
        asking = [group.create_task(one(key)) for key in (*keys, *keys)]
    answers = [task.result() for task in asking]
    # Once more in peace: an audit row that only a killed process held is in its log alone.
    answers += await asyncio.gather(*map(one, sorted(set(keys))))
    uids: dict[str, set[str]] = {key: set() for key in keys}
    for key, uid, _ in answers:
        uids[key].add(uid)
    doubled = [answer for answer in answers if len(uids[answer[0]]) > 1]
    assert not doubled, f"several answers to one key (key, run, request): {doubled}"
    wanted = {uid for found in uids.values() for uid in found}
    assert len(wanted) == len(uids), "one run for several keys"

    async def whole() -> bool:
        """The sweeper may still be about what a kill left behind."""
        try:
            async with on.database.reading() as session:
                open_claims = await session.scalar(text("SELECT count(*) FROM idempotency_keys WHERE job_uid IS NULL"))
                rows = await session.execute(text("SELECT uid FROM jobs WHERE uid = ANY(:u)"), {"u": list(wanted)})
                told = await session.execute(
                    text("SELECT DISTINCT resource FROM audit_log WHERE resource = ANY(:u)"), {"u": list(wanted)}
                )
                return open_claims == 0 and set(rows.scalars()) == wanted == set(told.scalars())
        except DatabaseUnavailableError:
            return False

    await until(whole, within=600, every=0.2, what="a row, an audit row and no open claim for each run")
    made = Counter(await asyncio.to_thread(on.plane.created, f"octo.dev/octojobs/{NAMESPACE}/"))
    assert set(made.values()) <= {1}, f"made more than once: {[name for name, times in made.items() if times > 1]}"
    async with on.database.reading() as session:
        runs = await session.scalar(text("SELECT count(*) FROM jobs"))
    assert len(made) == runs, f"{len(made)} OctoJobs were made for {runs} runs"
    return killing.result()


async def chaos(rounds: int, seed: int) -> None:
    """All rounds, on one set of stores."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="octo-chaos-")))
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.unlink(missing_ok=True)
        postgres = stack.enter_context(postgres_server())
        plane = stack.enter_context(control_plane(folder))
        plane.install_crds()
        plane.kubectl("default")("create", "namespace", NAMESPACE)
        plane.kubectl(NAMESPACE)("apply", "-f", "-", stdin=orjson.dumps(octoprovider(0)).decode())
        settings = DatabaseSettings(database_url=SecretStr(postgres.url("postgres")))
        await upgrade(settings)
        database = Database(settings, application_name="chaos")
        stack.push_async_callback(database.close)
        plain = new_key(bytes(range(40)))
        key = ApiKey(plain.id, "chaos", hash_secret(PEPPER, plain.secret), ("*",), ("*",), created_at=datetime.now(UTC))
        async with database.transaction() as session:
            await api_keys.put(session, key)
        mother = stack.enter_context(mother_of_apis())
        api = await stack.enter_async_context(
            mortal_api(
                mother,
                database_url=postgres.url("postgres"),
                kubeconfig=plane.kubeconfig,
                pepper=PEPPER,
                log=LOG,
                sweep_after_seconds=2,
                sweep_interval_seconds=1,
                rate_limit_requests=0,
            )
        )
        client = httpx.AsyncClient(
            base_url=api.url, headers={"X-API-Key": plain.text}, timeout=120, limits=httpx.Limits(max_connections=None)
        )
        await stack.enter_async_context(client)
        on = Rig(api, plane, postgres, database, client)
        for number in range(rounds):
            killed = await play(on, number, seed + number)
            sys.stderr.write(f"[chaos] round {number + 1} of {rounds}, seed {seed + number}: {', '.join(killed)}\n")
    sys.stdout.write(f"{rounds} rounds: nothing doubled, nothing lost\n")


def main() -> None:
    """Play the rounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.idempotency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each has one more")
    given = parser.parse_args()
    asyncio.run(chaos(given.rounds, given.seed))


if __name__ == "__main__":
    main()
