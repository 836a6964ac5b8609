"""Observed worlds, built from what differs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from octo_controller.reconcile.act import with_child
from octo_controller.reconcile.decide import decide
from octo_controller.reconcile.ledger import Ledger, Standing
from octo_controller.reconcile.model import (
    Action,
    CreateJob,
    Ended,
    JobView,
    Line,
    Look,
    Observed,
    Plan,
    PodView,
    Policy,
)
from octo_core.crd.resources import OctoJob, OctoProvider, parse_job, parse_provider
from octo_core.domain.job import ConcurrencyPolicy
from octo_core.domain.names import ARCHIVE_FINALIZER
from octo_core.domain.run import resolve_turn
from octo_core.domain.status import Condition, ConditionType, OctoJobStatus

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = Policy(cancel_force_after_seconds=30, archive_fail_open_seconds=600, stalled_after_seconds=600)
CANCEL = {"requestedAt": "2026-01-02T03:04:05Z", "requestedBy": "ann", "reason": "wrong day"}


def at(seconds: float) -> datetime:
    """So many seconds after the OctoJob was made."""
    return T0 + timedelta(seconds=seconds)


def job(
    *,
    name: str = "run",
    uid: str = "uid-run",
    status: OctoJobStatus | None = None,
    finalizers: tuple[str, ...] = (ARCHIVE_FINALIZER,),
    deleted_at: float | None = None,
    created: float = 0,
    **spec: Any,
) -> OctoJob:
    """An OctoJob of provider ``bank``; ``spec`` in camelCase."""
    meta: dict[str, Any] = {
        "namespace": "octo",
        "name": name,
        "uid": uid,
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": at(created).isoformat(),
        "finalizers": list(finalizers),
    }
    if deleted_at is not None:
        meta["deletionTimestamp"] = at(deleted_at).isoformat()
    raw: dict[str, Any] = {"metadata": meta, "spec": {"providerRef": {"name": "bank"}, **spec}}
    if status is not None:
        raw["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return parse_job(raw)


SFTP_TO_S3: dict[str, Any] = {
    "source": {"sftp": {"host": "h", "username": "u", "credentialsSecretRef": {"name": "c"}, "hostKeys": ["k"]}},
    "destination": {"s3": {"bucket": "landing", "credentialsSecretRef": {"name": "s3"}}},
}


def provider(**spec: Any) -> OctoProvider:
    """OctoProvider ``bank`` with a source and a destination, or what ``spec`` says."""
    given = spec or SFTP_TO_S3
    meta = {
        "namespace": "octo",
        "name": "bank",
        "uid": "uid-bank",
        "resourceVersion": "3",
        "generation": 1,
        "creationTimestamp": at(-100).isoformat(),
    }
    return parse_provider({"metadata": meta, "spec": given})


def child(attempt: int = 1, *, created: float = 0, deleted_at: float | None = None, **more: Any) -> JobView:
    """The Job of an attempt."""
    return JobView(
        **{
            "name": f"run-{attempt}",
            "uid": f"job-{attempt}",
            "attempt": attempt,
            "owner_name": "run",
            "owner_uid": "uid-run",
            "created": at(created),
            "deletion": None if deleted_at is None else at(deleted_at),
            **more,
        }
    )


def pod(*, exit_code: int | None = None, message: str = "", why: str = "", **more: Any) -> PodView:
    """A pod; with ``exit_code`` one that ended."""
    fields: dict[str, Any] = {"name": "run-1-x", "uid": "pod-1", "phase": "Pending"}
    if exit_code is not None:
        fields |= {"phase": "Succeeded" if exit_code == 0 else "Failed", "ended": Ended(exit_code, why, message)}
    return PodView(**{**fields, **more})


def peer(name: str = "other", *, active: bool = False, waiting: bool = True, **more: Any) -> Standing:
    """Another run of the same key, older unless said otherwise."""
    fields: dict[str, Any] = {
        "name": name,
        "uid": f"uid-{name}",
        "resource_version": "1",
        "key": "bank",
        "policy": ConcurrencyPolicy.ENQUEUE,
        "max": 1,
        "priority": 0,
        "created": at(-10),
        "active": active,
        "waiting": waiting and not active,
        "cancelled": False,
    }
    return Standing(**{**fields, **more})


def line_of(mine: OctoJob, *others: Standing, capacity: int | None = None, in_hall: tuple[str, ...] = ()) -> Line:
    """Where a run stands among others; those named ``in_hall`` wait for the namespace alone."""
    ledger = Ledger(capacity=capacity)
    turn = resolve_turn(mine.spec, None)
    policy, most = turn.concurrency.policy, turn.concurrency.max
    me: dict[str, Any] = {"key": turn.concurrency_key, "policy": policy, "max": most, "priority": turn.priority}
    for standing in (
        *others,
        peer(mine.meta.name, uid=mine.meta.uid, created=mine.meta.creation_timestamp, **me),
    ):
        ledger.put(standing)
    for name in in_hall:
        ledger.enter_hall(f"uid-{name}")
    return ledger.line(mine.meta.uid)


def observed(of: OctoJob | None = None, *, peers: tuple[Standing, ...] = (), **more: Any) -> Observed:
    """What is known; by default of an OctoJob just made whose provider is there."""
    mine = of or job()
    return Observed(**{"job": mine, "provider": provider(), "since": at(-1000), "line": line_of(mine, *peers), **more})


def plan_of(seen: Observed, seconds: float = 1, *, policy: Policy = POLICY) -> Plan:
    """The plan, where nothing needs to be looked up."""
    plan = decide(seen, now=at(seconds), policy=policy)
    assert isinstance(plan, Plan), plan
    return plan


def look_of(seen: Observed, seconds: float = 1) -> Look:
    """What must be looked up before there is a plan."""
    look = decide(seen, now=at(seconds), policy=POLICY)
    assert isinstance(look, Look), look
    return look


def started(attempt: int = 1, seconds: float = 0, **spec: Any) -> OctoJobStatus:
    """The status right after the Job of the first attempt was made."""
    plan = plan_of(observed(job(**spec)), seconds)
    assert CreateJob(1) in plan.actions
    return with_child(plan.status, attempt, f"run-{attempt}", f"job-{attempt}")


def running(seconds: float = 5, **spec: Any) -> OctoJobStatus:
    """The status once the pod of the first attempt runs."""
    seen = observed(job(status=started(**spec), **spec), children=(child(ready=1, active=1, started=at(1)),))
    return plan_of(seen, seconds).status


def condition(status: OctoJobStatus, kind: ConditionType) -> Condition:
    """A condition that must be there."""
    found = status.condition(kind)
    assert found is not None
    return found


def kinds(actions: tuple[Action, ...]) -> list[str]:
    """The names of the actions."""
    return [type(action).__name__ for action in actions]
