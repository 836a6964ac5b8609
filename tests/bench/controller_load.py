"""Runs and plain Jobs, submitted at once, and when each was seen to be over."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg

from octo_controller.reconcile.manifest import PodSettings, child_job
from octo_core.crd.resources import parse_job, parse_provider
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_JOB_UID
from tests.support.control_plane import ControlPlane

Raw = dict[str, Any]
CONNECTIONS = 32
PROVIDERS = 20
WAIT_SECONDS = 1800.0
JOBS, OCTOJOBS = "/apis/batch/v1/namespaces/{}/jobs", "/apis/octo.dev/v1alpha1/namespaces/{}/octojobs"
OCTOPROVIDERS = "/apis/octo.dev/v1alpha1/namespaces/{}/octoproviders"
CONTAINER = {"image": "example.com/main:1", "command": ["/bin/true"]}
IMAGE, REPORT_URL = "example.com/octo-worker:bench", "http://octo-api.octo.svc:8080"
"""As the chart has them: pods of runs get a token to report with."""
Counts = Counter[tuple[str, str, str]]
"""Requests by resource, subresource and verb."""
REQUESTS = re.compile(
    r'^apiserver_request_total\{(?=[^}]*[,{]resource="([^"]+)")(?=[^}]*subresource="([^"]*)")'
    r'(?=[^}]*verb="([A-Z]+)")(?=[^}]*code="2\d\d")[^}]*\} (\S+)$',
    re.MULTILINE,
)
OURS = ("octojobs", "octoproviders", "jobs")
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")


class Api:
    """The API server by plain requests, so that the bench itself costs little."""

    def __init__(self, plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self._url = plane.url
        self._session = session

    async def create(self, path: str, body: Raw) -> Raw:
        """POST one object."""
        async with self._session.post(self._url + path, json=body) as answer:
            made: Raw = await answer.json()
            if answer.status >= 300:
                raise RuntimeError(f"{path}: {made.get('message')}")
            return made

    async def patch_status(self, path: str, name: str, status: Raw) -> Raw:
        """Set the status of one object."""
        headers = {"Content-Type": "application/merge-patch+json"}
        url = f"{self._url}{path}/{name}/status"
        async with self._session.patch(url, data=json.dumps({"status": status}), headers=headers) as answer:
            answer.raise_for_status()
            made: Raw = await answer.json()
            return made

    async def items(self, path: str) -> list[Raw]:
        """All objects of a list."""
        async with self._session.get(self._url + path) as answer:
            answer.raise_for_status()
            return list((await answer.json())["items"])

    async def requests(self) -> Counts:
        """Requests that the API server has answered well, whoever sent them."""
        async with self._session.get(self._url + "/metrics") as answer:
            return requests_of(await answer.text())

    async def objects(self, path: str) -> AsyncIterator[Raw]:
        """What there is, and then each version that a watch tells of, without end. The API server ends a watch
        after a while, and one that does not keep up; each is followed by another one."""
        version = ""
        while True:
            if not version:
                async with self._session.get(self._url + path) as answer:
                    answer.raise_for_status()
                    listed = await answer.json()
                for item in listed["items"]:
                    yield item
                version = listed["metadata"]["resourceVersion"]
            async for event in self._watch(path, version):
                if event["type"] == "ERROR":
                    version = ""  # Too old to go on from.
                    break
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event["object"]

    async def _watch(self, path: str, version: str) -> AsyncIterator[Raw]:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600", "allowWatchBookmarks": "true"}
        endless = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._url + path, params=query, timeout=endless) as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)


@asynccontextmanager
async def api(plane: ControlPlane) -> AsyncIterator[Api]:
    """Requests with as many connections as the bench uses."""
    context = ssl.create_default_context(cafile=str(plane.authority))
    connector = aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS + 4)
    headers = {"Authorization": f"Bearer {plane.token}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Api(plane, session)


class Seen:
    """When each object was first seen to be over, by name."""

    def __init__(self, over: Callable[[Raw], bool]) -> None:
        self._over = over
        self.at: dict[str, float] = {}
        self.owners: dict[str, set[str]] = {}

    async def follow(self, source: AsyncIterator[Raw]) -> None:
        """Take in objects until cancelled."""
        async for raw in source:
            meta = raw["metadata"]
            owner = meta.get("labels", {}).get(LABEL_JOB_UID)
            if owner is not None:
                self.owners.setdefault(owner, set()).add(meta["uid"])
            if meta["name"] not in self.at and self._over(raw):
                self.at[meta["name"]] = time.monotonic()


class Rows:
    """When each run was first seen to be over in Postgres, by name."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url = url
        self._namespace = namespace
        self.at: dict[str, float] = {}

    async def follow(self) -> None:
        """Look ten times a second until cancelled."""
        connection = await asyncpg.connect(self._url)
        try:
            while True:
                rows = await connection.fetch(
                    "SELECT name FROM jobs WHERE namespace = $1 AND finished_at IS NOT NULL AND NOT name = ANY($2)",
                    self._namespace,
                    list(self.at),
                )
                now = time.monotonic()
                self.at.update({row["name"]: now for row in rows})
                await asyncio.sleep(0.1)
        finally:
            await connection.close()


async def reached(seen: Seen | Rows, wanted: int) -> bool:
    """Wait until so many are over; False if that does not come."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while len(seen.at) < wanted:  # noqa: ASYNC110 - ten times a second is often enough, and costs nothing
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    return True


def requests_of(metrics: str) -> Counts:
    """The requests in what the API server counts."""
    counts: Counts = Counter()
    for resource, subresource, verb, value in REQUESTS.findall(metrics):
        counts[resource, subresource, verb] += int(float(value))
    return counts


def told(counts: Counts) -> dict[str, int]:
    """Requests by words: ``PATCH octojobs/status``."""
    return {
        f"{verb} {resource}{'/' if sub else ''}{sub}": count
        for (resource, sub, verb), count in sorted(counts.items())
        if count > 0
    }


def complete(job: Raw) -> bool:
    """Whether a batch/v1 Job is complete."""
    conditions = job.get("status", {}).get("conditions", ())
    return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)


def finished(octojob: Raw) -> bool:
    """Whether an OctoJob is over."""
    return "completionTime" in octojob.get("status", {})


def plain_job(name: str) -> Raw:
    """A Job that does what a run of the bench's provider does."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", **CONTAINER}]}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def same_job(number: int) -> Raw:
    """The Job that Octo makes for a run of the bench, but for its owner."""
    known = {"namespace": "bench", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    run, provider = octojob(number), octoprovider(number % PROVIDERS)
    for raw in (run, provider):
        raw["metadata"] |= {**known, "uid": str(uuid.uuid4())}
    made = child_job(parse_job(run), parse_provider(provider), 1, PodSettings(image=IMAGE, report_url=REPORT_URL))
    del made["metadata"]["namespace"], made["metadata"]["ownerReferences"]
    return made


def octoprovider(number: int) -> Raw:
    """One of the providers that runs are spread over. None of their runs waits for another."""
    spec = {"container": CONTAINER, "jobDefaults": {"concurrency": {"policy": "Allow"}}}
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoProvider",
        "metadata": {"name": f"provider-{number}"},
        "spec": spec,
    }


def octojob(number: int) -> Raw:
    """A run, as the api makes it."""
    name = f"provider-{number % PROVIDERS}"
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoJob",
        "metadata": {
            "name": f"run-{number}",
            "labels": {"app.kubernetes.io/managed-by": "octo", "octo.dev/provider": name},
            "finalizers": [ARCHIVE_FINALIZER],
        },
        "spec": {"providerRef": {"name": name}, "requestedBy": "bench"},
    }


async def submit(to: Api, path: str, bodies: Iterable[Raw]) -> None:
    """Create all, over as many connections as there are."""
    waiting = iter(list(bodies))

    async def post() -> None:
        for body in waiting:
            await to.create(path, body)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(post())
