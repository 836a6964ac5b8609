"""Octo by the cluster's API: a kubeconfig is all it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from lightkube import Client
from lightkube.core.exceptions import ApiError
from lightkube.types import PatchType

from octo_cli.backend import AuditFilter, FileFilter, JobFilter, KeyOrder, LogWish, Order, is_id
from octo_cli.errors import CliError, NotFoundError, NotOfferedError
from octo_cli.exits import Exit
from octo_cli.kube import errors, logs
from octo_cli.kube.documents import job_of, provider_of
from octo_cli.kube.orders import octojob, repeated, same_order
from octo_cli.kube.resources import Event, OctoJob, OctoProvider, Pod
from octo_client import models
from octo_core.domain import names
from octo_core.domain.calendar import CalendarError, fire_times
from octo_core.domain.explain import ClusterView, explain
from octo_core.domain.model import rfc3339

_CHUNK = 500
_ASKED_ABOUT = 5
"""Pods whose events are looked up; of many workers that fail, they all say the same."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What an explanation goes by, from an OctoJob."""

    uid: str
    state: str
    reason: str | None
    provider: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    created_at: datetime
    finished_at: datetime | None


class KubeBackend:
    """A ``Backend``. It has what the custom resources and the pods say; what Postgres keeps is not offered."""

    def __init__(
        self, client: Client, *, namespace: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock

    def close(self) -> None:
        """All connections."""
        self._client.close()

    def error_of(self, error: Exception) -> CliError | None:
        """By the API server's status."""
        return errors.error_of(error)

    # ---- runs -----------------------------------------------------------------------------------

    def job(self, reference: str) -> models.Job:
        """By name, or by uid."""
        return job_of(errors.read(lambda: self._raw(reference)))

    def jobs(self, wanted: JobFilter) -> Iterable[models.Job]:
        """Those that the cluster still has. Sorted here: the API server lists by name."""
        only = wanted.states if len(wanted.states) == 1 else ()
        fields = {
            "spec.providerRef.name": wanted.provider,
            "status.state": only[0] if only else None,
            "status.failure.category": wanted.categories[0] if len(wanted.categories) == 1 else None,
        }
        found = [
            job_of(raw)
            for raw in self._client.list(
                OctoJob,
                namespace=self._namespace,
                chunk_size=_CHUNK,
                fields={key: value for key, value in fields.items() if value} or None,
                labels=_labels(wanted.labels),
            )
        ]
        kept = [job for job in found if _matches(job, wanted)]
        return sorted(kept, key=lambda job: (job.created_at, job.name), reverse=True)

    def run(self, order: Order) -> models.Job:
        """Create an OctoJob."""
        return self._created(octojob(order, namespace=self._namespace))

    def cancel(self, job: models.Job, *, reason: str | None, force: bool) -> models.Job:
        """Write it into the spec."""
        self._must_go_on(job)
        before = job.spec.get("cancel") or {}
        cancel = {
            "requestedAt": before.get("requestedAt") or rfc3339(self._clock()),
            "mode": "Force" if force else before.get("mode", "Graceful"),
            **({"reason": reason} if reason and not before else {}),
        }
        patch = OctoJob.from_dict({"metadata": {"uid": job.id}, "spec": {"cancel": cancel}})
        return job_of(self._client.patch(OctoJob, job.name, patch, namespace=job.namespace, patch_type=PatchType.MERGE))

    def rerun(self, job: models.Job, *, failed_files: bool, idempotency_key: str | None) -> models.Job:
        """Create an OctoJob that says the same."""
        if failed_files:
            raise NotOfferedError("which files of a run failed")
        if job.finished_at is None:
            raise CliError(f"{job.name} has not ended: {job.state}", Exit.CONFLICT, "Rerun it when it has.")
        return self._created(repeated(job, idempotency_key=idempotency_key))

    def explain(self, job: models.Job) -> models.Explanation:
        """As the server would: from the OctoJob, its pods and their events."""
        raw = self._raw(job.name)
        status = raw.get("status") or {}
        known = _Known(
            uid=job.id,
            state=job.state.value,
            reason=job.reason,
            provider=job.provider,
            spec=raw.get("spec") or {},
            status=status,
            created_at=job.created_at,
            finished_at=job.finished_at,
        )
        pods = list(self._client.list(Pod, namespace=job.namespace, labels={names.LABEL_JOB_UID: job.id}))
        about = [("OctoJob", job.id), *(("Pod", pod["metadata"]["uid"]) for pod in pods[-_ASKED_ABOUT:])]
        said = [event for kind, uid in about for event in self._events(job.namespace, kind, uid)]
        found = explain(known, ClusterView.LIVE, pods, said, now=self._clock())
        return models.Explanation.model_validate(found.model_dump(mode="json", by_alias=True))

    def log(self, job: models.Job, wish: LogWish) -> Iterator[str]:
        """From the pod."""
        return logs.lines(self._client, job, wish, lambda: self.job(job.name))

    def files(self, job: models.Job, wanted: FileFilter) -> Iterable[models.JobFile]:
        """Not kept in the cluster."""
        raise NotOfferedError("what became of each file")

    # ---- providers ------------------------------------------------------------------------------

    def providers(self) -> Iterable[models.Provider]:
        """Of the namespace."""
        found = self._client.list(OctoProvider, namespace=self._namespace, chunk_size=_CHUNK)
        return (provider_of(raw) for raw in found)

    def provider(self, name: str) -> models.Provider:
        """With its conditions."""
        return provider_of(self._client.get(OctoProvider, name, namespace=self._namespace))

    def verify(self, name: str) -> models.Verification:
        """Its steps go to the server."""
        raise NotOfferedError("the steps of a verification")

    def checks(self, job_id: str) -> models.Verification:
        """As above."""
        raise NotOfferedError("the steps of a verification")

    def ledger(self, name: str, *, path_prefix: str | None) -> Iterable[models.LedgerEntry]:
        """Not kept in the cluster."""
        raise NotOfferedError("the ledger of what is stored")

    # ---- schedules ------------------------------------------------------------------------------

    def schedule(self, name: str, *, count: int) -> models.ProviderSchedule:
        """Reckoned here, as the controller does."""
        raw = self._client.get(OctoProvider, name, namespace=self._namespace)
        schedule = (raw.get("spec") or {}).get("schedule")
        ticks: list[datetime] = []
        if schedule and not schedule.get("suspend"):
            try:
                fires = fire_times(schedule["cron"], schedule.get("timeZone") or "UTC", after=self._clock())
                ticks = list(islice(fires, count))
            except CalendarError as error:
                raise CliError(
                    f"the schedule {error}", Exit.CONFLICT, "Correct spec.schedule of the provider."
                ) from error
        document = {"schedule": schedule, "status": (raw.get("status") or {}).get("schedule"), "nextTimes": ticks}
        return models.ProviderSchedule.model_validate(document)

    def trigger(self, name: str, *, idempotency_key: str | None) -> models.Job:
        """The controller and the server alone make runs of schedules."""
        raise NotOfferedError("a run of a schedule")

    def backfill(self, name: str, start: datetime, end: datetime, *, dry_run: bool) -> models.Backfill:
        """As above."""
        raise NotOfferedError("runs of past ticks")

    # ---- keys and audit -------------------------------------------------------------------------

    def keys(self, *, subject: str | None) -> Iterable[models.ApiKey]:
        """The server's."""
        raise NotOfferedError("API keys")

    def create_key(self, order: KeyOrder) -> models.NewApiKey:
        """The server's."""
        raise NotOfferedError("API keys")

    def rotate_key(self, key_id: str, *, overlap_seconds: int | None) -> models.NewApiKey:
        """The server's."""
        raise NotOfferedError("API keys")

    def revoke_key(self, key_id: str) -> models.ApiKey:
        """The server's."""
        raise NotOfferedError("API keys")

    def audit(self, wanted: AuditFilter) -> Iterable[models.AuditRecord]:
        """The server's."""
        raise NotOfferedError("the audit log")

    # ---------------------------------------------------------------------------------------------

    def _raw(self, reference: str) -> Any:
        if not is_id(reference):
            return self._client.get(OctoJob, reference, namespace=self._namespace)
        for raw in self._client.list(OctoJob, namespace=self._namespace, chunk_size=_CHUNK):
            if raw["metadata"]["uid"] == reference:
                return raw
        raise NotFoundError(
            f"the cluster has no run {reference}", "It may have ended long ago: the server's history would have it."
        )

    def _created(self, wanted: dict[str, Any]) -> models.Job:
        """The OctoJob, made now, or before if its name says that it is the same order."""
        try:
            return job_of(self._client.create(OctoJob.from_dict(wanted), namespace=self._namespace))
        except ApiError as error:
            if error.status.code != 409 or error.status.reason != "AlreadyExists":
                raise
        found = self._client.get(OctoJob, wanted["metadata"]["name"], namespace=self._namespace)
        if not same_order(wanted, found):
            raise CliError(
                "the idempotency key stands for another run already", Exit.CONFLICT, "Take another --idempotency-key."
            )
        return job_of(found)

    def _must_go_on(self, job: models.Job) -> None:
        if job.finished_at is not None:
            raise CliError(f"{job.name} has ended: {job.state}", Exit.CONFLICT)

    def _events(self, namespace: str, kind: str, uid: str) -> list[Any]:
        selector: dict[str, Any] = {"involvedObject.kind": kind, "involvedObject.uid": uid}
        return list(self._client.list(Event, namespace=namespace, fields=selector))


def _labels(selector: str | None) -> dict[str, Any] | None:
    if not selector:
        return None
    pairs = (term.partition("=") for term in selector.split(","))
    return {key: value.removeprefix("=") for key, _, value in pairs}


def _matches(job: models.Job, wanted: JobFilter) -> bool:
    category = job.failure.category.value if job.failure else None
    return (
        (not wanted.states or job.state.value in wanted.states)
        and (not wanted.categories or category in wanted.categories)
        and (wanted.requested_by is None or job.requested_by == wanted.requested_by)
        and (wanted.schedule is None or job.schedule == wanted.schedule)
        and (wanted.created_after is None or job.created_at >= wanted.created_after)
        and (wanted.created_before is None or job.created_at < wanted.created_before)
    )
