"""The schedule of a provider, and what became of it so far."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from octo_core.domain.model import Model, Time


class SchedulePolicy(StrEnum):
    """What a tick does while an earlier run of the same schedule is not over: run too, be skipped, or end that one."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class Schedule(Model):
    """When a provider runs by itself. ``domain.calendar`` says what fires when."""

    cron: str = Field(
        min_length=1,
        max_length=256,
        pattern=(
            r"^\s*(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[A-Za-z0-9*/,#-]+(\s+[A-Za-z0-9*/,#-]+){4})\s*$"
        ),
        description="Minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, "
        "`@yearly`.",
    )
    time_zone: str = Field(
        default="UTC",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$",
        description="IANA name of the time zone on whose clock cron goes, such as `Europe/Berlin`.",
    )
    suspend: bool = Field(default=False, description="Fire no more. What falls into that time is not made up for.")
    starting_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        description="How late a tick may still fire, such as after the controller was down; without it, however late. "
        "Of several missed ticks only the latest fires.",
    )
    concurrency_policy: SchedulePolicy = Field(
        default=SchedulePolicy.FORBID,
        description="When a tick comes while an earlier run of this schedule is not over: Forbid skips the tick, "
        "Replace cancels that run, Allow runs both, as far as the provider's concurrency lets them.",
    )


class ScheduleRef(Model):
    """Which tick of which schedule a run stands for."""

    name: str = Field(min_length=1, max_length=63, description="The OctoProvider whose schedule it is.")
    scheduled_time: Time = Field(description="The moment at which the schedule fired.")


class SkipReason(StrEnum):
    """Why a tick made no run: an earlier one was not over, or it was too late for it."""

    BUSY = "Busy"
    TOO_LATE = "TooLate"


class SkippedTick(Model):
    """A tick that made no run."""

    scheduled_time: Time
    reason: SkipReason
    message: str = Field(default="", max_length=512)


class ScheduleStatus(Model):
    """What became of a schedule so far."""

    cron: str = Field(max_length=256, description="What nextScheduleTime was reckoned by.")
    time_zone: str = Field(max_length=64, description="What nextScheduleTime was reckoned by.")
    next_schedule_time: Time | None = Field(
        default=None, description="The next tick; none while suspended or not valid."
    )
    last_schedule_time: Time | None = Field(default=None, description="The last tick that made a run.")
    last_scheduled_job: str | None = Field(default=None, max_length=253, description="The OctoJob of that tick.")
    last_skipped: SkippedTick | None = Field(default=None, description="The last tick that made no run.")
