"""``octo-controller restore``: gives a new cluster what Postgres knows of the one before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from octo_core.db import lost, mirrors, provider_rows
from octo_core.db.lost import LostRun
from octo_core.db.provider_rows import ProviderCopy
from octo_core.db.session import Database
from octo_core.domain.errors import AlreadyExistsError, InvalidError
from octo_core.domain.names import API_VERSION, ARCHIVE_FINALIZER
from octo_core.domain.status import State
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import NAMESPACES, OCTOJOBS, OCTOPROVIDERS, Resource
from octo_core.settings import ClusterSettings, DatabaseSettings

Raw = dict[str, Any]
PAGE = 200


class RestoreSettings(ClusterSettings, DatabaseSettings):
    """Of the command: an administrator's way to the new cluster, and to Postgres."""


class Unfinished(StrEnum):
    """What becomes of runs that were not over when the cluster was lost."""

    RERUN = "rerun"
    """Each is made again under its name, as a rerun of the lost one; what is stored already is not moved again."""
    END = "end"
    """They end as Cancelled, for the reason ClusterLost."""


@dataclass(slots=True)
class Restored:
    """What was done."""

    providers: int = 0
    rerun: int = 0
    ended: int = 0
    history: int = 0


async def restore(
    settings: RestoreSettings,
    unfinished: Unfinished,
    *,
    clock: Callable[[], datetime],
    say: Callable[[str], None],
) -> Restored:
    """Restore one namespace; may be run again, and while a controller serves it.

    ``say`` is told what was left as it is. Raises ClusterUnavailableError, DatabaseUnavailableError, and what the API
    server refuses.
    """
    database = Database(settings, application_name="octo-controller-restore")
    try:
        async with await KubeClient.connect(settings.kubeconfig) as client:
            return await _Restore(client, database, settings.namespace, clock, say).run(unfinished)
    finally:
        await database.close()


class _Restore:
    def __init__(
        self,
        client: KubeClient,
        database: Database,
        namespace: str,
        clock: Callable[[], datetime],
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._database = database
        self._namespace = namespace
        self._clock = clock
        self._say = say
        self._done = Restored()

    async def run(self, unfinished: Unfinished) -> Restored:
        cluster = (await self._client.get(NAMESPACES, None, self._namespace))["metadata"]["uid"]
        async with self._database.transaction() as session:
            await mirrors.set_aside(session, self._namespace, cluster)
        # Before the OctoProviders, whose schedules would make a tick's run that is to come back under that name.
        await self._jobs(unfinished)
        async with self._database.transaction() as session:
            copies = await provider_rows.lost(session, self._namespace)
        for copy in copies:
            await self._provider(copy)
        return self._done

    async def _jobs(self, unfinished: Unfinished) -> None:
        after = ""
        while True:
            async with self._database.transaction() as session:
                runs = await lost.page(session, self._namespace, after=after, limit=PAGE)
            if not runs:
                return
            after = runs[-1].uid
            over = [run.uid for run in runs if State(run.state).terminal]
            await self._settle(over)
            self._done.history += len(over)
            for run in runs:
                if State(run.state).terminal:
                    continue
                if unfinished is Unfinished.END or run.spec.get("cancel"):
                    await self._settle([run.uid])
                    self._done.ended += 1
                else:
                    await self._again(run)

    async def _again(self, run: LostRun) -> None:
        made = await self._made(OCTOJOBS, rerun_of(run))
        if made is None:
            made = await self._client.get(OCTOJOBS, self._namespace, run.name)
            # The work of an earlier call that was cut off here, or somebody else's.
            if made["spec"].get("rerunOf", {}).get("uid") != run.uid:
                self._say(f"OctoJob {run.name} is another run here; the lost one stays as it is")
                return
        uid = made["metadata"]["uid"]
        async with self._database.transaction() as session:
            await lost.replace(session, run.uid, by=uid, now=self._clock())
        self._done.rerun += 1

    async def _provider(self, copy: ProviderCopy) -> None:
        meta = {"name": copy.name, "labels": copy.labels, "annotations": copy.annotations}
        body = {"apiVersion": API_VERSION, "kind": OCTOPROVIDERS.kind, "metadata": meta, "spec": copy.spec}
        if await self._made(OCTOPROVIDERS, body) is None:
            self._say(f"OctoProvider {copy.name} is there already, and stays as it is")
        else:
            self._done.providers += 1

    async def _made(self, resource: Resource, body: Raw) -> Raw | None:
        """The object, or None if its name is taken."""
        try:
            return await self._client.create(resource, self._namespace, body)
        except AlreadyExistsError:
            return None
        except InvalidError as error:
            raise InvalidError(f"{body['kind']} {body['metadata']['name']}: {error.detail}") from error

    async def _settle(self, uids: list[str]) -> None:
        if uids:
            async with self._database.transaction() as session:
                await lost.settle(session, uids, now=self._clock())


def rerun_of(run: LostRun) -> Raw:
    """The OctoJob that takes a lost one's place. Pure."""
    return {
        "apiVersion": API_VERSION,
        "kind": OCTOJOBS.kind,
        "metadata": {"name": run.name, "labels": run.labels, "finalizers": [ARCHIVE_FINALIZER]},
        "spec": {**run.spec, "rerunOf": {"name": run.name, "uid": run.uid}},
    }
