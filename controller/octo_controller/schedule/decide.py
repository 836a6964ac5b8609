"""Whether a schedule fires now. Pure: time comes in, and all that is remembered stands in the provider's status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from octo_core.crd.resources import OctoJob, OctoProvider
from octo_core.domain.calendar import CalendarError, latest_fire, next_fire
from octo_core.domain.names import scheduled_job_name
from octo_core.domain.provider import OctoProviderStatus
from octo_core.domain.schedule import Schedule, SchedulePolicy, ScheduleStatus, SkippedTick, SkipReason
from octo_core.domain.status import Condition, ConditionStatus

SCHEDULE_VALID = "ScheduleValid"
_REASONS = {"cron": "InvalidCron", "timeZone": "UnknownTimeZone"}
_SECOND = timedelta(seconds=1)
_WRONG_CLOCK = timedelta(days=1)
"""A tick further ahead than this was fired by a clock that went wrong, and is not waited for."""
LOOK_SECONDS = 60.0
"""The clock on the wall may be set; so it is looked at this often."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a schedule, and what to write of it."""

    status: ScheduleStatus | None = None
    condition: Condition | None = None
    fires: datetime | None = None
    """The tick that makes a run."""
    replaces: tuple[OctoJob, ...] = ()
    """Earlier runs that give way to it."""
    skipped: SkippedTick | None = None
    """The tick that makes none."""
    look_after: float | None = None
    """Seconds until the next look."""

    def written(self, status: OctoProviderStatus) -> OctoProviderStatus:
        """A provider's status with what is said here of its schedule."""
        others = tuple(condition for condition in status.conditions if condition.type != SCHEDULE_VALID)
        own = (self.condition,) if self.condition else ()
        return status.model_copy(update={"schedule": self.status, "conditions": (*others, *own)})


def decide_schedule(provider: OctoProvider, runs: Iterable[OctoJob], *, now: datetime) -> Decision:
    """Decide by the provider, the OctoJobs of it that are known, and the time.

    The next tick is remembered in the status, so that none is missed that comes while nobody looks. Of several that
    came meanwhile only the latest counts. A schedule that was changed or resumed begins anew: what it would have
    fired before is not made up for.
    """
    schedule, known = provider.spec.schedule, provider.status.schedule
    if schedule is None or provider.meta.deletion_timestamp is not None:
        return Decision(status=known if schedule else None)
    try:
        return _decide(schedule, provider, known, runs, now)
    except CalendarError as error:
        return Decision(
            status=_remembered(schedule, known, None),
            condition=_condition(provider, now, _REASONS[error.field], f"spec.schedule.{error.field}: {error}"),
        )


def _decide(
    schedule: Schedule,
    provider: OctoProvider,
    known: ScheduleStatus | None,
    runs: Iterable[OctoJob],
    now: datetime,
) -> Decision:
    last = known.last_schedule_time if known else None
    if last is not None and last > now + _WRONG_CLOCK:
        last = None
    coming = next_fire(schedule.cron, schedule.time_zone, after=max(now, last) if last else now)
    valid = _condition(provider, now, "Valid", "")
    if schedule.suspend:
        return Decision(status=_remembered(schedule, known, None), condition=valid)

    status = _remembered(schedule, known, coming)
    look_after = min((coming - now).total_seconds(), LOOK_SECONDS)
    tick = _due(schedule, known, now)
    if tick is None or (last is not None and tick <= last):
        return Decision(status=status, condition=valid, look_after=look_after)

    earlier = tuple(run for run in runs if _is_active(run, provider.meta.name, tick))
    skipped = _skipped(schedule, tick, earlier, now)
    if skipped is not None:
        status = status.model_copy(update={"last_skipped": skipped})
        return Decision(status=status, condition=valid, skipped=skipped, look_after=look_after)
    fired = {"last_schedule_time": tick, "last_scheduled_job": scheduled_job_name(provider.meta.name, tick)}
    return Decision(
        status=status.model_copy(update=fired),
        condition=valid,
        fires=tick,
        replaces=tuple(
            run for run in earlier if schedule.concurrency_policy is SchedulePolicy.REPLACE and run.spec.cancel is None
        ),
        look_after=look_after,
    )


def _due(schedule: Schedule, known: ScheduleStatus | None, now: datetime) -> datetime | None:
    """The latest tick from the remembered one on, if that has come."""
    if known is None or (known.cron, known.time_zone) != (schedule.cron, schedule.time_zone):
        return None
    if known.next_schedule_time is None or known.next_schedule_time > now:
        return None
    return latest_fire(schedule.cron, schedule.time_zone, after=known.next_schedule_time - _SECOND, until=now)


def _is_active(run: OctoJob, provider: str, tick: datetime) -> bool:
    """Whether it is a run of this schedule, of an earlier tick, that is not over."""
    ref, state = run.spec.schedule_ref, run.status.state
    return (
        ref is not None
        and ref.name == provider
        and ref.scheduled_time != tick
        and not (state is not None and state.terminal)
    )


def _skipped(schedule: Schedule, tick: datetime, earlier: tuple[OctoJob, ...], now: datetime) -> SkippedTick | None:
    late, limit = int((now - tick).total_seconds()), schedule.starting_deadline_seconds
    if limit is not None and late > limit:
        message = f"it was {late} s late, and startingDeadlineSeconds is {limit}"
        return SkippedTick(scheduled_time=tick, reason=SkipReason.TOO_LATE, message=message)
    if schedule.concurrency_policy is SchedulePolicy.FORBID and earlier:
        message = f"OctoJob {earlier[0].meta.name} is not over"
        return SkippedTick(scheduled_time=tick, reason=SkipReason.BUSY, message=message)
    return None


def _remembered(schedule: Schedule, known: ScheduleStatus | None, coming: datetime | None) -> ScheduleStatus:
    reckoned = {"cron": schedule.cron, "time_zone": schedule.time_zone, "next_schedule_time": coming}
    return known.model_copy(update=reckoned) if known else ScheduleStatus(**reckoned)


def _condition(provider: OctoProvider, now: datetime, reason: str, message: str) -> Condition:
    status = ConditionStatus.TRUE if reason == "Valid" else ConditionStatus.FALSE
    known = next((condition for condition in provider.status.conditions if condition.type == SCHEDULE_VALID), None)
    return Condition(
        type=SCHEDULE_VALID,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=known.last_transition_time if known and known.status is status else now,
        observed_generation=provider.meta.generation,
    )
