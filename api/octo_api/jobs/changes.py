"""Changes of runs that are there: cancel, patch, delete. Each is a change of the OctoJob."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from octo_api.audit.intents import Intents, of_object
from octo_api.auth.caller import Caller
from octo_api.errors import ContendedError, InvalidStateError, PreconditionFailedError, acting_on_cluster
from octo_api.etags import require_match
from octo_api.jobs.documents import etag_of
from octo_api.jobs.labels import check_own
from octo_api.jobs.schemas import CancelRequest, JobPatch
from octo_api.jobs.visible import visible
from octo_core.crd.resources import Raw
from octo_core.db import job_reads
from octo_core.db.job_reads import JobRecord
from octo_core.db.projection import project
from octo_core.db.session import Database
from octo_core.domain.errors import ConflictError, DatabaseUnavailableError, InvalidError, NotFoundError
from octo_core.domain.job import CancelMode
from octo_core.domain.model import rfc3339
from octo_core.domain.status import State
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS

logger = logging.getLogger(__name__)

_PATCH_TRIES = 5
_GONE = "The OctoJob is gone from the cluster; only its history is left."


class JobChanges:
    """What can be done to runs."""

    def __init__(
        self, database: Database, kube: KubeClient, *, intents: Intents, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._kube = kube
        self._intents = intents
        self._clock = clock

    async def cancel(self, caller: Caller, uid: str, request: CancelRequest) -> JobRecord:
        """Ask for the end of a run; asking again changes nothing but Graceful to Force.

        Raises JobNotFoundError, InvalidStateError for a run that ended otherwise or is gone, or
        ClusterUnavailableError.
        """
        record = await self._get(caller, uid)
        for _ in range(_PATCH_TRIES):
            job = await self._live(record)
            state = State(job.get("status", {}).get("state", State.PENDING))
            standing = job["spec"].get("cancel")
            if state.terminal and not (state is State.CANCELLED and standing):
                raise InvalidStateError(f"the job has ended: {state}")
            change = _cancel_change(standing, caller.subject, request, self._clock())
            if state.terminal or change is None:
                return job_reads.record_of(job)
            meta = {key: job["metadata"][key] for key in ("uid", "resourceVersion")}
            await self._announce(record, "changed", meta, {"spec": {"cancel": change}})
            try:
                with acting_on_cluster():
                    job = await self._kube.patch(
                        OCTOJOBS, record.namespace, record.name, {"metadata": meta, "spec": {"cancel": change}}
                    )
            except NotFoundError as error:
                raise InvalidStateError(_GONE) from error
            except ConflictError:
                continue  # The controller wrote in between.
            return await self._noted(job)
        raise ContendedError("The OctoJob changes too fast; try again.")

    async def patch(self, caller: Caller, uid: str, change: JobPatch, *, if_match: str | None) -> JobRecord:
        """Change suspend, priority or labels of a run, the latter also when it has ended.

        Raises JobNotFoundError, InvalidStateError for a run that has ended or is gone, PreconditionFailedError,
        InvalidError or ClusterUnavailableError.
        """
        check_own(change.labels)
        body = _merge_patch(change)
        if not body:
            raise InvalidError("nothing to change: name suspend, priority or labels")
        record = await self._get(caller, uid)
        for _ in range(_PATCH_TRIES):
            job = await self._live(record)
            require_match(if_match, etag_of(job_reads.record_of(job)))
            state = State(job.get("status", {}).get("state", State.PENDING))
            if "spec" in body and state.terminal:
                raise InvalidStateError(f"the job has ended: {state}")
            meta = {key: job["metadata"][key] for key in ("uid", "resourceVersion")}
            changed = {**body, "metadata": {**body.get("metadata", {}), **meta}}
            await self._announce(record, "changed", meta, body)
            try:
                with acting_on_cluster():
                    job = await self._kube.patch(OCTOJOBS, record.namespace, record.name, changed)
            except NotFoundError as error:
                raise InvalidStateError(_GONE) from error
            except ConflictError as error:
                if if_match is not None and if_match.strip() != "*":
                    raise PreconditionFailedError("The job changed meanwhile; read it again.") from error
                continue
            return await self._noted(job)
        raise ContendedError("The OctoJob changes too fast; try again.")

    async def delete(self, caller: Caller, uid: str) -> JobRecord:
        """Delete the OctoJob, ending it if it runs; its history stays. One that is gone already is left at that.

        Raises JobNotFoundError or ClusterUnavailableError.
        """
        record = await self._get(caller, uid)
        await self._announce(record, "deleted", {"uid": uid})
        try:
            with acting_on_cluster():
                await self._kube.delete(OCTOJOBS, record.namespace, record.name, uid=uid)
        except (NotFoundError, ConflictError):
            logger.info("nothing to delete", extra={"job_uid": uid})
        return record

    async def _announce(self, record: JobRecord, kind: str, meta: dict[str, str], change: Raw | None = None) -> None:
        probe = of_object(kind, OCTOJOBS, record.namespace, record.name, **meta, change=change)
        await self._intents.note(probe, resource=record.uid, namespace=record.namespace)

    async def _get(self, caller: Caller, uid: str) -> JobRecord:
        async with self._database.transaction() as session:
            return await visible(session, caller, uid)

    async def _noted(self, job: Raw) -> JobRecord:
        """The run as it is now, in Postgres too, so that whoever changed it reads what they wrote."""
        try:
            async with self._database.transaction() as session:
                await project(session, [job], now=self._clock())
        except DatabaseUnavailableError:
            logger.info("change not mirrored yet", extra={"job_uid": job["metadata"]["uid"]})
        return job_reads.record_of(job)

    async def _live(self, record: JobRecord) -> Raw:
        try:
            with acting_on_cluster():
                job = await self._kube.get(OCTOJOBS, record.namespace, record.name)
        except NotFoundError as error:
            raise InvalidStateError(_GONE) from error
        if job["metadata"]["uid"] != record.uid:
            raise InvalidStateError(_GONE)
        return job


def _cancel_change(standing: Raw | None, subject: str, request: CancelRequest, now: datetime) -> Raw | None:
    if standing is None:
        change: Raw = {"requestedAt": rfc3339(now), "requestedBy": subject, "mode": request.mode.value}
        if request.reason is not None:
            change["reason"] = request.reason
        return change
    if request.mode is CancelMode.FORCE and standing.get("mode") != CancelMode.FORCE:
        return {"mode": CancelMode.FORCE.value}
    return None


def _merge_patch(change: JobPatch) -> Raw:
    given = change.model_dump(by_alias=True, exclude_unset=True)
    labels = given.pop("labels", None)
    return {**({"metadata": {"labels": labels}} if labels else {}), **({"spec": given} if given else {})}
