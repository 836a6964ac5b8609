"""Logs of runs, from their pods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from lightkube import Client
from lightkube.core.exceptions import ApiError

from octo_cli.backend import LogWish
from octo_cli.kube.resources import Pod
from octo_client import models
from octo_core.domain import names
from octo_core.domain.shard import INDEX_ANNOTATION

_LOOK_SECONDS = 1.0


def lines(
    client: Client,
    job: models.Job,
    wish: LogWish,
    again: Callable[[], models.Job],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """The log of an attempt's worker; with ``follow`` it waits for the pod, and goes on until the attempt has ended.

    ``again`` reads the run anew. Of a pod that is gone there are the last lines, if the attempt failed.
    """
    while True:
        attempt = wish.attempt or job.attempt or 1
        pod = _pod(client, job, attempt, wish.worker)
        if pod is not None:
            try:
                yield from _read(client, job.namespace, pod, wish)
            except ApiError as error:
                if error.status.code not in (400, 404):
                    raise
            else:
                return
        elif over(job, attempt):
            yield from _kept(job, attempt)
            return
        if not wish.follow:
            return
        sleep(_LOOK_SECONDS)
        job = again()


def over(job: models.Job, attempt: int) -> bool:
    """Whether there is nothing more to come of an attempt."""
    return job.finished_at is not None or job.deleted_at is not None or attempt < job.attempt


def _pod(client: Client, job: models.Job, attempt: int, worker: int) -> dict[str, Any] | None:
    """The newest pod of the worker, once it has a log."""
    labels: dict[str, Any] = {names.LABEL_JOB_UID: job.id, names.LABEL_ATTEMPT: str(attempt)}
    found: list[dict[str, Any]] = [
        pod
        for pod in client.list(Pod, namespace=job.namespace, labels=labels)
        if (pod.get("status") or {}).get("phase", "Pending") != "Pending" and _worker(pod) == worker
    ]
    return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _worker(pod: dict[str, Any]) -> int:
    index = (pod["metadata"].get("annotations") or {}).get(INDEX_ANNOTATION, "")
    return int(index) if index.isdecimal() else 0


def _read(client: Client, namespace: str, pod: dict[str, Any], wish: LogWish) -> Iterator[str]:
    yield from client.log(
        pod["metadata"]["name"],
        namespace=namespace,
        container=pod["spec"]["containers"][0]["name"],
        follow=wish.follow,
        since=wish.since_seconds,
        tail_lines=wish.tail,
        timestamps=wish.timestamps,
        newlines=False,
    )


def _kept(job: models.Job, attempt: int) -> Iterator[str]:
    for each in job.attempts:
        if each.number == attempt and each.log_tail:
            yield from each.log_tail.splitlines()
