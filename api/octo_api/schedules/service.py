"""Runs for ticks of the past: one for each, however often they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from octo_api.audit.intents import Intents, of_object
from octo_api.errors import ContendedError, acting_on_cluster
from octo_api.schedules.schemas import BackfilledTick
from octo_core.crd.resources import Raw
from octo_core.crd.scheduled import scheduled_job
from octo_core.db import job_reads
from octo_core.db.projection import project
from octo_core.db.session import Database
from octo_core.domain.errors import AlreadyExistsError, NotFoundError
from octo_core.domain.names import scheduled_job_name
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS


class ScheduleService:
    """A tick has one name, and a name one run: in the cluster by the API server's word, in the archive by ours."""

    def __init__(
        self, database: Database, kube: KubeClient, *, intents: Intents, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._kube = kube
        self._intents = intents
        self._clock = clock

    async def backfill(
        self, namespace: str, provider: str, ticks: Sequence[datetime], *, requested_by: str, dry_run: bool
    ) -> list[BackfilledTick]:
        """The run of each tick, made now if there was none, live or archived.

        Raises the errors of the stores that are away; asked again, it goes on where it was.
        """
        names = {tick: scheduled_job_name(provider, tick) for tick in ticks}
        known = await self._known(namespace, names.values())
        done = []
        for tick, name in names.items():
            uid, created = known.get(name), False
            if uid is None and not dry_run:
                manifest = scheduled_job(namespace, provider, tick, requested_by=requested_by)
                uid, created = await self._made(namespace, name, manifest)
            done.append(BackfilledTick(scheduled_time=tick, job_name=name, job_id=uid, created=created))
        return done

    async def _made(self, namespace: str, name: str, manifest: Raw) -> tuple[str, bool]:
        """The uid of the OctoJob of that name, and whether it was made now."""
        created = True
        await self._intents.note(of_object("created", OCTOJOBS, namespace, name, change={"spec": manifest["spec"]}))
        try:
            with acting_on_cluster():
                job = await self._kube.create(OCTOJOBS, namespace, manifest)
        except AlreadyExistsError:
            created = False
            try:
                with acting_on_cluster():
                    job = await self._kube.get(OCTOJOBS, namespace, name)
            except NotFoundError as error:
                # It went away between the two, which it does into the archive.
                known = await self._known(namespace, [name])
                if name not in known:
                    raise ContendedError("The OctoJob of a tick comes and goes; try again.") from error
                return known[name], False
        async with self._database.transaction() as session:
            await project(session, [job], now=self._clock())
        return job["metadata"]["uid"], created

    async def _known(self, namespace: str, names: Iterable[str]) -> dict[str, str]:
        async with self._database.transaction() as session:
            return await job_reads.uids_by_name(session, namespace, names)
