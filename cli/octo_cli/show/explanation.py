"""An explanation, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from octo_cli.show.columns import age, stamp

if TYPE_CHECKING:
    from octo_client import models

_EVENTS = 5


def lines(job: models.Job, why: models.Explanation, now: datetime) -> Iterator[str]:
    """The sentence first, then what to do, then what it is drawn from."""
    reason = f" ({why.reason})" if why.reason else ""
    yield f"{job.name} of {job.provider}: {why.state.value}{reason}, since {age(why.since, now)}"
    yield ""
    yield f"  {why.summary}"
    if why.actions:
        yield ""
        yield "What to do:"
        for action in why.actions:
            yield f"  - {action}"
    if why.queue is not None and why.queue.position:
        yield ""
        yield f"Queue: place {why.queue.position} among runs with the key {why.queue.key}"
    if why.next_attempt_at is not None:
        yield ""
        yield f"Next attempt: {stamp(why.next_attempt_at)}"
    if job.attempts:
        yield ""
        yield "Attempts:"
        for attempt in job.attempts:
            yield f"  {_attempt(attempt)}"
    if why.pods:
        yield ""
        yield "Pods:"
        for pod in why.pods:
            note = " ".join(part for part in (pod.reason, pod.message) if part)
            yield f"  {pod.name}: {pod.phase}{f' ({note})' if note else ''}"
    warnings = [event for event in why.events if event.type != "Normal"][:_EVENTS]
    if warnings:
        yield ""
        yield "Warnings of the cluster:"
        for event in warnings:
            ago = f"{age(event.last_seen_at, now)} ago, " if event.last_seen_at else ""
            yield f"  {event.about}: {ago}{event.reason}: {event.message}"
    if why.cluster.value != "Live":
        yield ""
        yield {
            "Gone": "Its OctoJob is gone from the cluster; this is from the history.",
            "Unavailable": "The cluster could not be asked; this is what was last heard of it.",
        }.get(why.cluster.value, "")


def _attempt(attempt: models.Attempt) -> str:
    if attempt.completion_time is None:
        return f"{attempt.number}: under way{f' on {attempt.pod_name}' if attempt.pod_name else ''}"
    said = ": ".join(str(part) for part in (attempt.category, attempt.message or attempt.reason) if part)
    return f"{attempt.number}: {said or 'ended'}"
