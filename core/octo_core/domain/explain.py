"""Why a run is in its state, and what to do about it: a pure function of what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field

from octo_core.domain import names
from octo_core.domain.model import Model, Time
from octo_core.domain.status import Condition, ConditionStatus, ConditionType, Failure, OctoJobStatus, State

Raw = dict[str, Any]
MAX_EVENTS = 20
_UNSEEN_AFTER_SECONDS = 60


class KnownRun(Protocol):
    """What must be known of a run to explain it: a row of the mirror has it, and so has an OctoJob."""

    @property
    def uid(self) -> str:
        """Of the OctoJob."""
        ...

    @property
    def state(self) -> str:
        """One of ``State``."""
        ...

    @property
    def reason(self) -> str | None:
        """Of its condition Succeeded."""
        ...

    @property
    def provider(self) -> str:
        """The OctoProvider's name."""
        ...

    @property
    def spec(self) -> Mapping[str, Any]:
        """Of the OctoJob."""
        ...

    @property
    def status(self) -> Mapping[str, Any]:
        """Of the OctoJob."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it was asked for."""
        ...

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""
        ...


class ClusterView(StrEnum):
    """What the cluster said: the OctoJob is there, it is gone, or there was no answer and this is from the mirror."""

    LIVE = "Live"
    GONE = "Gone"
    UNAVAILABLE = "Unavailable"


class QueueExplanation(Model):
    """What a run waits for that may not go yet."""

    position: int | None = Field(description="Its place, from 1.")
    key: str = Field(description="Runs with the same concurrency key share.")
    policy: str | None = Field(description="concurrency.policy of the run; null if the provider's holds.")


class ClusterEvent(Model):
    """A Kubernetes Event about the run or one of its pods."""

    about: str = Field(description="Kind and name: `Pod/night-run-1-x7k2p`.")
    type: str
    reason: str
    message: str
    count: int
    last_seen_at: Time | None


class PodExplanation(Model):
    """A pod of the run, as the cluster has it now."""

    name: str
    attempt: int | None
    phase: str
    node: str | None
    reason: str | None = Field(description="Why it is not running: ImagePullBackOff, Unschedulable, OOMKilled, …")
    message: str | None
    exit_code: int | None


class Explanation(Model):
    """Why a run is in its state."""

    id: str
    state: State
    reason: str | None
    summary: str = Field(description="One sentence for a person.")
    since: Time = Field(description="When the run came into this state, as far as is known.")
    actions: tuple[str, ...] = Field(
        description="What can be done, the most promising first; empty if nothing need be."
    )
    cluster: ClusterView
    queue: QueueExplanation | None
    next_attempt_at: Time | None
    failure: Failure | None
    conditions: tuple[Condition, ...]
    pods: tuple[PodExplanation, ...]
    events: tuple[ClusterEvent, ...] = Field(description=f"The last {MAX_EVENTS}, the newest first.")


def explain(
    record: KnownRun, cluster: ClusterView, pods: Sequence[Raw], events: Sequence[Raw], *, now: datetime
) -> Explanation:
    """``record`` is the run as the cluster has it, or else as the mirror does; the rest is raw from the cluster."""
    status = OctoJobStatus.model_validate(record.status, extra="ignore")
    state = State(record.state)
    seen = tuple(map(_pod, pods))
    summary, actions = _words(record, status, state, seen, now)
    return Explanation(
        id=record.uid,
        state=state,
        reason=record.reason,
        summary=summary,
        since=_since(record, status, state),
        actions=tuple(actions),
        cluster=cluster,
        queue=_queue(record, status) if state is State.QUEUED else None,
        next_attempt_at=status.next_attempt_time,
        failure=status.failure,
        conditions=status.conditions,
        pods=seen,
        events=_events(events),
    )


def _words(
    record: KnownRun, status: OctoJobStatus, state: State, pods: Sequence[PodExplanation], now: datetime
) -> tuple[str, list[str]]:
    about = status.condition(ConditionType.SUCCEEDED)
    said = (about.message or about.reason) if about else ""
    if state is State.PENDING:
        return _pending(record, status, said, now)
    if state is State.QUEUED:
        place = f" at place {status.queue_position}" if status.queue_position else ""
        waiting = status.condition(ConditionType.ADMITTED)
        why = f": {waiting.message}" if waiting and waiting.message else ""
        return f"It waits for its turn{place}{why}.", ["Wait, or raise its priority, or end what runs before it."]
    if state is State.SUSPENDED:
        return "It is held by spec.suspend.", ["Let it go on: set suspend to false."]
    if state is State.STARTING:
        return _starting(status, pods)
    if state is State.RUNNING:
        return _running(status)
    if state is State.RETRYING:
        due = f" The next attempt begins at {status.next_attempt_time.isoformat()}." if status.next_attempt_time else ""
        return f"{_sentence(said or 'an attempt failed')}{due}", ["Wait, or cancel the job."]
    if state is State.CANCELLING:
        return "Its end was asked for; its pods have their grace period.", ["Wait, or cancel with mode Force."]
    if state is State.FAILED:
        failure = status.failure
        text = f"{failure.category}: {failure.message or failure.reason}" if failure else said or "it failed"
        resolution = [failure.resolution] if failure and failure.resolution else []
        return _sentence(text), [
            *resolution,
            "Then rerun it; mode FailedFiles takes those files only.",
        ]
    if state is State.CANCELLED:
        return _sentence(said or "cancelled"), ["Rerun it when it is wanted."]
    return _sentence(said or "completed"), []


def _pending(record: KnownRun, status: OctoJobStatus, said: str, now: datetime) -> tuple[str, list[str]]:
    accepted = status.condition(ConditionType.ACCEPTED)
    if accepted is None:
        waited = (now - record.created_at).total_seconds()
        hint = ["See whether the controller is ready: it has not looked at this job."]
        return "The controller has not looked at it yet.", hint if waited > _UNSEEN_AFTER_SECONDS else []
    if accepted.status is not ConditionStatus.TRUE:
        wrong = _sentence(accepted.message or accepted.reason)
        return wrong, ["Make or correct the OctoProvider; the run goes on by itself."]
    admitted = status.condition(ConditionType.ADMITTED)
    if admitted is not None and admitted.message:
        return _sentence(admitted.message), ["Wait, or cancel the job."]
    return _sentence(said or "it is about to start"), []


def _starting(status: OctoJobStatus, pods: Sequence[PodExplanation]) -> tuple[str, list[str]]:
    running = status.condition(ConditionType.RUNNING)
    if running is not None and running.message:
        return _sentence(running.message), [
            "Correct what the message names: the pod starts by itself; after its deadline the attempt fails."
        ]
    for pod in pods:
        if pod.reason is not None:
            return _sentence(f"pod {pod.name}: {pod.reason}{f', {pod.message}' if pod.message else ''}"), []
    return "Its pod is being started.", []


def _running(status: OctoJobStatus) -> tuple[str, list[str]]:
    stalled = status.condition(ConditionType.STALLED)
    if stalled is not None and stalled.status is ConditionStatus.TRUE:
        return _sentence(stalled.message or stalled.reason), [
            "Look at its log. Cancel it if the server or the store hangs."
        ]
    progress = status.progress
    return (f"It runs: {progress.summary} files." if progress and progress.summary else "It runs."), []


def _sentence(text: str) -> str:
    clean = text.strip().rstrip(".")
    return f"{clean[:1].upper()}{clean[1:]}."


def _since(record: KnownRun, status: OctoJobStatus, state: State) -> datetime:
    """The latest turn of the conditions that make the state; else when the run ended or was made."""
    if state.terminal and record.finished_at is not None:
        return record.finished_at
    kinds: dict[State, ConditionType] = {
        State.QUEUED: ConditionType.ADMITTED,
        State.SUSPENDED: ConditionType.SUSPENDED,
        State.STARTING: ConditionType.ADMITTED,
        State.RUNNING: ConditionType.RUNNING,
        State.RETRYING: ConditionType.RUNNING,
    }
    condition = status.condition(kinds[state]) if state in kinds else None
    return condition.last_transition_time if condition else record.created_at


def _queue(record: KnownRun, status: OctoJobStatus) -> QueueExplanation:
    concurrency = record.spec.get("concurrency") or {}
    return QueueExplanation(
        position=status.queue_position,
        key=concurrency.get("key") or record.provider,
        policy=concurrency.get("policy"),
    )


def _pod(raw: Raw) -> PodExplanation:
    meta, status = raw["metadata"], raw.get("status") or {}
    containers = status.get("containerStatuses") or ()
    state: Raw = next((container.get("state") or {} for container in containers), {})
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    scheduled: Raw = next((c for c in status.get("conditions") or () if c.get("type") == "PodScheduled"), {})
    unschedulable = scheduled if scheduled.get("status") == "False" else {}
    attempt = meta.get("labels", {}).get(names.LABEL_ATTEMPT, "")
    why = next((each for each in (status, ended, waiting, unschedulable) if each.get("reason")), {})
    return PodExplanation(
        name=meta["name"],
        attempt=int(attempt) if attempt.isdecimal() else None,
        phase=status.get("phase", "Unknown"),
        node=raw.get("spec", {}).get("nodeName"),
        reason=why.get("reason"),
        message=why.get("message"),
        exit_code=ended.get("exitCode"),
    )


def _events(raws: Iterable[Raw]) -> tuple[ClusterEvent, ...]:
    found = []
    for raw in raws:
        series = raw.get("series") or {}
        last = raw.get("lastTimestamp") or series.get("lastObservedTime") or raw.get("eventTime")
        about = raw.get("involvedObject") or {}
        found.append(
            ClusterEvent(
                about=f"{about.get('kind', '')}/{about.get('name', '')}",
                type=raw.get("type") or "Normal",
                reason=raw.get("reason") or "",
                message=raw.get("message") or "",
                count=raw.get("count") or series.get("count") or 1,
                last_seen_at=datetime.fromisoformat(last) if last else None,
            )
        )
    newest: Any = sorted(found, key=lambda event: (event.last_seen_at is not None, event.last_seen_at), reverse=True)
    return tuple(newest[:MAX_EVENTS])
