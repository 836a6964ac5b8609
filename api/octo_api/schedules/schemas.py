"""Documents of schedules."""

from __future__ import annotations

from pydantic import Field, model_validator

from octo_api.jobs.schemas import DNS_LABEL
from octo_core.domain.model import Model, Time
from octo_core.domain.schedule import Schedule, ScheduleStatus


class ProviderSchedule(Model):
    """A provider's schedule, what it did, and what it will do."""

    schedule: Schedule | None = Field(description="None if the provider runs only when asked.")
    status: ScheduleStatus | None
    next_times: tuple[Time, ...] = Field(description="When it fires next; empty without a schedule or while suspended.")


class TriggerRequest(Model):
    """Body of ``POST /v1/providers/{name}/schedule:trigger``."""

    namespace: str | None = Field(
        default=None, min_length=1, max_length=63, pattern=DNS_LABEL, description="Default: the installation's own."
    )


class BackfillRequest(TriggerRequest):
    """Body of ``POST /v1/providers/{name}/schedule:backfill``."""

    start: Time = Field(description="The first moment; a tick at it counts.")
    end: Time = Field(description="The first moment that does not count any more; not in the future.")

    @model_validator(mode="after")
    def _is_a_span(self) -> BackfillRequest:
        if self.start >= self.end:
            raise ValueError("start must be before end")
        return self


class BackfilledTick(Model):
    """A tick, and the run that stands for it."""

    scheduled_time: Time
    job_name: str = Field(description="Of the OctoJob.")
    job_id: str | None = Field(description="`id` of the run; None in a dry run.")
    created: bool = Field(description="Whether it was made now; else it had been made before.")


class Backfill(Model):
    """The runs of all ticks of a span."""

    items: tuple[BackfilledTick, ...]
