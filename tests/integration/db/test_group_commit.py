"""Many writes, one transaction: who is in it, and what becomes of the others where one cannot be written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from octo_core.db import idempotency
from octo_core.db.group_commit import GroupCommit, Part
from octo_core.db.idempotency import Claim
from octo_core.db.session import AsyncSession, Database
from octo_core.db.submissions import CLAIM, RECORD, Submitted
from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.settings import DatabaseSettings
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
async def numbers(database: Database) -> None:
    """A table that takes numbers from 0 on, each once or more often, and tells which transaction wrote them."""
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE numbers (n int CHECK (n >= 0), tx text)"))
        await session.execute(text("CREATE TABLE doors (n int PRIMARY KEY)"))
        await session.execute(text("INSERT INTO doors SELECT generate_series(0, 99)"))


async def write_numbers(session: AsyncSession, items: Sequence[int]) -> list[int]:
    assert list(items) == sorted(items)
    for n in items:
        await session.execute(text("SELECT FROM doors WHERE n = :n FOR UPDATE"), {"n": abs(n)})
        await session.execute(text("INSERT INTO numbers VALUES (:n, pg_current_xact_id()::text)"), {"n": n})
    return [10 * n for n in items]


NUMBERS: Part[int, int] = Part("numbers", lambda n: n, write_numbers)


async def written(database: Database) -> dict[int, str]:
    async with database.transaction() as session:
        return {row.n: row.tx for row in await session.execute(text("SELECT n, tx FROM numbers"))}


@asynccontextmanager
async def under_way(group: GroupCommit) -> AsyncIterator[None]:
    """A group is under way until the end of the block: what is added in it waits for the next."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait(_: AsyncSession, items: Sequence[None]) -> list[None]:
        begun.set()
        await go.wait()
        return list(items)

    part: Part[None, None] = Part("wait", lambda _: 0, wait)
    # As good as given at the start: the parts of this one have no order among each other.
    group._parts = (*group._parts, part)
    waiting = group.add(part, None)
    await begun.wait()
    yield
    go.set()
    await waiting


@pytest.mark.usefixtures("numbers")
async def test_what_comes_while_a_group_is_under_way_is_the_next_group(database: Database) -> None:
    async with GroupCommit(database, NUMBERS) as group:
        async with under_way(group):
            waiting = [group.add(NUMBERS, n) for n in range(50, 0, -1)]
        assert list(await asyncio.gather(*waiting)) == [10 * n for n in range(50, 0, -1)]
    found = await written(database)
    assert sorted(found) == list(range(1, 51))
    assert len(set(found.values())) == 1


@pytest.mark.usefixtures("numbers")
async def test_one_that_cannot_be_written_keeps_no_other_from_it(database: Database) -> None:
    async with GroupCommit(database, NUMBERS) as group:
        async with under_way(group):
            waiting = [group.add(NUMBERS, n) for n in (1, -2, 3)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [results[0], results[2]] == [10, 30]
    assert "violates check constraint" in str(results[1])
    assert sorted(await written(database)) == [1, 3]


@pytest.mark.usefixtures("numbers")
async def test_one_whose_row_another_holds_keeps_no_other_from_it(
    database: Database, database_settings: DatabaseSettings
) -> None:
    other = await asyncpg.connect(database_settings.database_url.get_secret_value())
    holding = other.transaction()
    await holding.start()
    await other.execute("SELECT FROM doors WHERE n = 2 FOR UPDATE")
    async with GroupCommit(database, NUMBERS, tries=10_000) as group:
        async with under_way(group):
            first, second, third = [group.add(NUMBERS, n) for n in (1, 2, 3)]
        assert list(await asyncio.gather(first, third)) == [10, 30]
        assert not second.done()
        await holding.rollback()
        assert await second == 20
    await other.close()


@pytest.mark.usefixtures("numbers")
async def test_one_that_cannot_be_written_in_several_tries_may_be_tried_again_later(
    database: Database, database_settings: DatabaseSettings
) -> None:
    other = await asyncpg.connect(database_settings.database_url.get_secret_value())
    async with GroupCommit(database, NUMBERS, tries=1) as group:
        async with other.transaction():
            await other.execute("SELECT FROM doors WHERE n = 2 FOR UPDATE")
            with pytest.raises(DatabaseUnavailableError, match="55P03"):
                await group.add(NUMBERS, 2)
        assert await group.add(NUMBERS, 2) == 20
    await other.close()


@pytest.mark.usefixtures("numbers")
async def test_postgres_away_is_told_at_once_to_all_that_wait(
    postgres: PostgresServer, database_settings: DatabaseSettings
) -> None:
    database = Database(database_settings, application_name="away")
    async with GroupCommit(database, NUMBERS) as group:
        assert await group.add(NUMBERS, 1) == 10
        admin = await asyncpg.connect(postgres.url("postgres"))
        name = database_settings.database_url.get_secret_value().rpartition("/")[2]
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        results = await asyncio.gather(*(group.add(NUMBERS, n) for n in range(2, 300)), return_exceptions=True)
        assert {type(result) for result in results} == {DatabaseUnavailableError}
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert await group.add(NUMBERS, 2) == 20
        await admin.close()
    await database.close()


@pytest.mark.usefixtures("numbers")
async def test_what_waits_is_bounded(database: Database) -> None:
    group = GroupCommit(database, NUMBERS, capacity=2)
    first, second = group.add(NUMBERS, 1), group.add(NUMBERS, 2)
    with pytest.raises(DatabaseUnavailableError, match="too much waits"):
        group.add(NUMBERS, 3)
    async with group:
        assert list(await asyncio.gather(first, second)) == [10, 20]


@pytest.mark.usefixtures("numbers")
async def test_at_the_end_what_waits_is_written_and_nothing_more_is_taken(database: Database) -> None:
    async with GroupCommit(database, NUMBERS) as group:
        waiting = [group.add(NUMBERS, n) for n in range(40)]
    assert [future.result() for future in waiting] == [10 * n for n in range(40)]
    with pytest.raises(DatabaseUnavailableError):
        group.add(NUMBERS, 41)


@pytest.mark.usefixtures("numbers")
async def test_who_goes_away_harms_nobody(database: Database) -> None:
    async with GroupCommit(database, NUMBERS) as group:
        async with under_way(group):
            gone, stays = group.add(NUMBERS, 1), group.add(NUMBERS, 2)
            gone.cancel()
        assert await stays == 20
    # Cancelled before its group began: it was not written.
    assert sorted(await written(database)) == [2]


def a_claim(number: int, tenant: str = "t", **changes: object) -> Claim:
    made = Claim(
        tenant=tenant,
        key_hash=f"{number:04}",
        fingerprint="print",
        namespace="octo",
        job_name=f"{tenant}-{number}",
        manifest={"spec": {"text": "\u00e9\u2028'\\\""}},
        created_at=NOW,
        expires_at=NOW + timedelta(days=7),
    )
    return replace(made, **changes)  # type: ignore[arg-type] # as the tests name them


async def stored(database: Database, claim: Claim) -> Claim | None:
    async with database.transaction() as session:
        return await idempotency.find(session, *idempotency.key_of(claim), now=NOW)


async def take(database: Database, *claims: Claim) -> list[Claim | None]:
    async with database.transaction() as session:
        return await idempotency.take_many(session, claims)


async def test_claims_of_a_group_are_as_exact_as_one_by_one(database: Database) -> None:
    old = a_claim(1, created_at=NOW - timedelta(days=9), expires_at=NOW - timedelta(days=2), job_uid="old")
    standing = a_claim(2, job_uid="uid-2")
    assert await take(database, old, standing) == [None, None]
    again = a_claim(2, fingerprint="another body")
    twice = [a_claim(3), a_claim(3, fingerprint="another body")]
    assert await take(database, a_claim(1), again, *twice, a_claim(4)) == [None, standing, None, twice[0], None]
    assert await stored(database, old) == a_claim(1), "in place of the expired one, and as it was given"
    assert await stored(database, again) == standing
    assert await stored(database, twice[0]) == twice[0]


async def test_what_claims_became_is_noted_but_on_those_that_a_sweeper_holds(database: Database) -> None:
    claims = [a_claim(n) for n in range(4)]
    await take(database, *claims[:3])
    async with database.transaction() as sweeping:
        assert await idempotency.lock_unfinished(sweeping, made_before=NOW + timedelta(1)) is not None
        async with database.transaction() as session:
            await session.execute(text("SET LOCAL lock_timeout = '1ms'"))
            await idempotency.finish_many(session, [replace(claim, job_uid=claim.job_name) for claim in claims])
    found = [await stored(database, claim) for claim in claims]
    uids = [claim.job_uid if claim is not None else "none" for claim in found]
    assert uids.count(None) == 1, "that of the sweeper, which is about to note it"
    assert set(uids) - {None} <= {claim.job_name for claim in claims}
    assert uids[3] == claims[3].job_name, "one that was taken away meanwhile is put back"


async def test_the_claim_of_another_request_is_left_alone(database: Database) -> None:
    await take(database, a_claim(1, fingerprint="other"))
    async with database.transaction() as session:
        await idempotency.finish_many(session, [a_claim(1, job_uid="mine")])
    assert await stored(database, a_claim(1)) == a_claim(1, fingerprint="other")


def an_octojob(claim: Claim) -> dict[str, object]:
    return {
        "metadata": {
            "uid": f"uid-{claim.job_name}",
            "namespace": claim.namespace,
            "name": claim.job_name,
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": {"providerRef": {"name": "acme"}, "idempotency": {"keyHash": claim.key_hash}},
    }


async def test_processes_that_write_the_same_rows_do_not_deadlock(
    database: Database, database_settings: DatabaseSettings
) -> None:
    """Three processes with the same 150 requests, each in an order of its own."""

    async def process(seed: int) -> int:
        own = Database(database_settings, application_name=f"process-{seed}")
        claims = [a_claim(n, tenant=f"t{n % 3}") for n in range(150)]
        random.Random(seed).shuffle(claims)
        async with GroupCommit(own, CLAIM, tries=10_000) as taking, GroupCommit(own, RECORD, tries=10_000) as recording:

            async def request(claim: Claim) -> int:
                made = await taking.add(CLAIM, claim) is None
                await recording.add(RECORD, Submitted(claim, an_octojob(claim), NOW))
                return made

            made = sum(await asyncio.gather(*map(request, claims)))
        await own.close()
        return made

    assert sum(await asyncio.gather(*map(process, range(3)))) == 150, "each claim was made by one of them"
    async with database.transaction() as session:
        rows = (await session.execute(text("SELECT count(*), count(job_uid) FROM idempotency_keys"))).one()
        assert tuple(rows) == (150, 150)
        assert await session.scalar(text("SELECT count(*) FROM jobs")) == 150
        created = "SELECT count(*) FROM events WHERE type = 'job.created'"
        assert await session.scalar(text(created)) == 150

    async def all_ended() -> bool:
        # What they met is counted at the latest when their connections have ended.
        async with database.transaction() as session:
            left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'process-%'"
            return bool(await session.scalar(text(left)) == 0)

    await until(all_ended)
    async with database.transaction() as session:
        counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert await session.scalar(text(counted)) == 0
