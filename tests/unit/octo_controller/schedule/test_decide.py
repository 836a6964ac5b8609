"""Which tick fires: by cases, and under restarts, rivals and clocks that are set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_controller.schedule.decide import SCHEDULE_VALID, Decision, decide_schedule
from octo_core.crd.resources import OctoJob, OctoProvider, parse_job
from octo_core.crd.scheduled import scheduled_job
from octo_core.domain.calendar import fire_times
from octo_core.domain.names import scheduled_job_name
from octo_core.domain.provider import OctoProviderStatus
from octo_core.domain.schedule import SkipReason
from octo_core.domain.status import ConditionStatus
from tests.unit.octo_controller.builders import SFTP_TO_S3
from tests.unit.octo_controller.builders import provider as built

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def provider(status: OctoProviderStatus | None = None, **schedule: Any) -> OctoProvider:
    made = built(**SFTP_TO_S3, schedule={"cron": "0 * * * *", **schedule})
    return replace(made, status=status or OctoProviderStatus())


def look(of: OctoProvider, now: datetime, *runs: OctoJob) -> tuple[Decision, OctoProvider]:
    """A decision, and the provider after it was written."""
    decision = decide_schedule(of, runs, now=now)
    return decision, replace(of, status=decision.written(of.status))


def run(of: OctoProvider, tick: datetime, **status: Any) -> OctoJob:
    raw = scheduled_job(of.meta.namespace, of.meta.name, tick, requested_by="clock")
    raw["metadata"] |= {"uid": "u", "resourceVersion": "5", "creationTimestamp": "2026-03-02T12:00:00Z"}
    return parse_job({**raw, "status": status})


class TestTicks:
    def test_a_new_schedule_waits_for_its_next_tick(self) -> None:
        decision, after = look(provider(), NOON + MINUTE)
        assert decision.fires is None
        assert after.status.schedule is not None
        assert after.status.schedule.next_schedule_time == NOON + 60 * MINUTE

    def test_a_tick_fires_when_it_comes_and_once(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        decision, after = look(waiting, NOON)
        assert decision.fires == NOON
        assert after.status.schedule is not None
        assert after.status.schedule.last_schedule_time == NOON
        assert after.status.schedule.last_scheduled_job == "bank-202603021200"
        assert after.status.schedule.next_schedule_time == NOON + 60 * MINUTE
        assert look(after, NOON)[0].fires is None

    def test_of_several_missed_ticks_the_latest_fires(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        decision, after = look(waiting, NOON + timedelta(hours=30, minutes=5))
        assert decision.fires == NOON + timedelta(hours=30)
        assert look(after, NOON + timedelta(hours=30, minutes=6))[0].fires is None

    def test_a_tick_past_its_deadline_is_skipped_and_said_so(self) -> None:
        _, waiting = look(provider(startingDeadlineSeconds=60), NOON - MINUTE)
        assert look(waiting, NOON + MINUTE)[0].fires == NOON
        decision, after = look(waiting, NOON + 2 * MINUTE)
        assert decision.fires is None
        assert after.status.schedule is not None
        assert after.status.schedule.last_skipped is not None
        assert after.status.schedule.last_skipped.reason is SkipReason.TOO_LATE
        assert after.status.schedule.next_schedule_time == NOON + 60 * MINUTE

    def test_what_falls_into_a_suspension_is_not_made_up_for(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        suspended = replace(waiting, spec=provider(suspend=True).spec)
        decision, held = look(suspended, NOON - MINUTE)
        assert decision.look_after is None
        assert held.status.schedule is not None
        assert held.status.schedule.next_schedule_time is None
        decision, resumed = look(replace(held, spec=provider().spec), NOON + MINUTE)
        assert decision.fires is None
        assert resumed.status.schedule is not None
        assert resumed.status.schedule.next_schedule_time == NOON + 60 * MINUTE

    def test_another_expression_begins_anew(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        changed = replace(waiting, spec=provider(cron="30 * * * *").spec)
        decision, after = look(changed, NOON + 10 * MINUTE)
        assert decision.fires is None
        assert after.status.schedule is not None
        assert after.status.schedule.next_schedule_time == NOON + 30 * MINUTE

    def test_a_provider_that_is_being_deleted_does_not_fire(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        going = replace(waiting, meta=replace(waiting.meta, deletion_timestamp=NOON))
        assert look(going, NOON)[0].fires is None

    def test_without_a_schedule_nothing_is_said_of_one(self) -> None:
        _, waiting = look(provider(), NOON)
        decision, after = look(replace(waiting, spec=built().spec), NOON)
        assert decision == Decision()
        assert after.status == OctoProviderStatus()

    def test_it_is_looked_at_again_at_the_tick_or_within_a_minute(self) -> None:
        assert look(provider(), NOON)[0].look_after == 60
        assert look(provider(), NOON - timedelta(seconds=7))[0].look_after == 7


class TestConcurrency:
    def test_forbid_skips_the_tick_while_an_earlier_run_is_not_over(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        decision, after = look(waiting, NOON, run(waiting, NOON - 60 * MINUTE, state="Running"))
        assert decision.fires is None
        assert after.status.schedule is not None
        assert after.status.schedule.last_skipped is not None
        assert after.status.schedule.last_skipped.reason is SkipReason.BUSY
        assert after.status.schedule.last_skipped.message == "OctoJob bank-202603021100 is not over"

    def test_forbid_fires_once_the_earlier_run_is_over(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        assert look(waiting, NOON, run(waiting, NOON - 60 * MINUTE, state="Failed"))[0].fires == NOON

    def test_a_run_that_was_made_for_this_tick_does_not_forbid_it(self) -> None:
        # The controller died between the OctoJob and the status.
        _, waiting = look(provider(), NOON - MINUTE)
        assert look(waiting, NOON, run(waiting, NOON))[0].fires == NOON

    def test_a_run_by_hand_does_not_count(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        by_hand = run(waiting, NOON - MINUTE)
        by_hand = replace(by_hand, spec=by_hand.spec.model_copy(update={"schedule_ref": None}))
        assert look(waiting, NOON, by_hand)[0].fires == NOON

    def test_replace_ends_the_earlier_ones(self) -> None:
        _, waiting = look(provider(concurrencyPolicy="Replace"), NOON - MINUTE)
        earlier = run(waiting, NOON - 60 * MINUTE, state="Running")
        decision, _ = look(waiting, NOON, earlier, run(waiting, NOON - 120 * MINUTE, state="Succeeded"))
        assert decision.fires == NOON
        assert decision.replaces == (earlier,)

    def test_allow_leaves_them(self) -> None:
        _, waiting = look(provider(concurrencyPolicy="Allow"), NOON - MINUTE)
        decision, _ = look(waiting, NOON, run(waiting, NOON - 60 * MINUTE, state="Running"))
        assert decision.fires == NOON
        assert decision.replaces == ()


class TestValidity:
    @pytest.mark.parametrize(
        ("schedule", "reason", "message"),
        [
            ({"cron": "0 25 * * *"}, "InvalidCron", "spec.schedule.cron: bad hour in '0 25 * * *'"),
            (
                {"timeZone": "Mars/Olympus"},
                "UnknownTimeZone",
                "spec.schedule.timeZone: 'Mars/Olympus' is not a time zone",
            ),
        ],
    )
    def test_one_that_cannot_be_reckoned_with_says_why(
        self, schedule: dict[str, str], reason: str, message: str
    ) -> None:
        _, before = look(provider(), NOON)
        decision, after = look(provider(before.status, **schedule), NOON + 60 * MINUTE)
        assert decision.fires is None
        condition = next(c for c in after.status.conditions if c.type == SCHEDULE_VALID)
        assert (condition.status, condition.reason) == (ConditionStatus.FALSE, reason)
        assert condition.message.startswith(message)
        assert after.status.schedule is not None
        assert after.status.schedule.next_schedule_time is None
        _, mended = look(provider(after.status), NOON + 90 * MINUTE)
        assert [(c.type, c.status) for c in mended.status.conditions] == [(SCHEDULE_VALID, ConditionStatus.TRUE)]


class TestClocks:
    def test_one_set_back_does_not_fire_a_tick_again(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        _, fired = look(waiting, NOON)
        decision, back = look(fired, NOON - 5 * MINUTE)
        assert decision.fires is None
        decision, _ = look(back, NOON)
        assert decision.fires is None

    def test_one_that_was_wrong_for_a_while_does_not_stop_the_schedule(self) -> None:
        _, waiting = look(provider(), NOON - MINUTE)
        decision, far = look(waiting, NOON + timedelta(days=400))
        assert decision.fires == NOON + timedelta(days=400)
        _, right = look(far, NOON + MINUTE)
        assert look(right, NOON + 60 * MINUTE)[0].fires == NOON + 60 * MINUTE


CRON, ZONE, START = "*/10 * * * *", "Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)
KEPT = timedelta(days=1)
"""How long an OctoJob stays after its run, and far longer than any controller goes by an old status."""


class Cluster:
    """What the API server holds of one schedule: the provider, and the OctoJobs by name."""

    def __init__(self) -> None:
        self.provider = provider(cron=CRON, timeZone=ZONE, concurrencyPolicy="Allow")
        self.jobs: dict[str, datetime] = {}
        self.made: list[datetime] = []

    def look(self, by: OctoProvider, now: datetime, *, dies: bool = False) -> None:
        """One visit by a controller that takes ``by`` for the provider."""
        self.jobs = {name: tick for name, tick in self.jobs.items() if now - tick < KEPT}
        decision, after = look(by, now)
        if decision.fires is not None and (name := scheduled_job_name("bank", decision.fires)) not in self.jobs:
            self.jobs[name] = decision.fires
            self.made.append(decision.fires)
        if by is self.provider and not dies:
            self.provider = after


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["looks", "looks", "dies", "lags"]), st.integers(1, 4000)),
        min_size=5,
        max_size=40,
    )
)
def test_no_tick_is_fired_twice_and_none_lost_whoever_looks_and_dies(steps: list[tuple[int, str, int]]) -> None:
    """Two controllers look at one schedule, by turns. One may die after it made the OctoJob, and one may go by an
    older status, in whose place the API server then takes no other."""
    cluster, now = Cluster(), START
    seen = {0: (cluster.provider, now), 1: (cluster.provider, now)}
    for who, how, pause in steps:
        now += timedelta(seconds=pause)
        if how != "lags" or now - seen[who][1] > timedelta(hours=2):
            seen[who] = (cluster.provider, now)
        cluster.look(seen[who][0], now, dies=how == "dies")

    cluster.look(cluster.provider, now)
    before = list(cluster.made)
    for _ in range(90):
        now += MINUTE
        cluster.look(cluster.provider, now)

    assert len(set(cluster.made)) == len(cluster.made), "no tick made two runs"
    since = list(takewhile(lambda tick: tick <= now, fire_times(CRON, ZONE, after=now - 90 * MINUTE)))
    assert cluster.made[len(before) :] == since, "and none is lost while somebody looks"
