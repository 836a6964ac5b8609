"""Logs of runs, from their pods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from lightkube import Client
from lightkube.core.exceptions import ApiError

from octo_cli.backend import LogWish
from octo_cli.kube.errors import passes, read
from octo_cli.kube.resources import Pod
from octo_cli.tail import Told, followed
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
    told = Told(timestamps=wish.timestamps)
    while True:
        attempt = wish.attempt or job.attempt or 1
        pod = _pod(client, job, attempt, wish.worker)
        if pod is not None:
            try:
                if not wish.follow:
                    yield from _opened(client, job.namespace, pod, wish)
                    return
                yield from followed(told, partial(_again, client, job.namespace, pod, wish, told), passes, sleep=sleep)
            except ApiError as error:
                if error.status.code not in (400, 404):
                    raise
            else:
                # A kubelet that is restarted ends the answer as if the log had ended.
                if _has_ended(client, job.namespace, pod):
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
    pods = read(lambda: list(client.list(Pod, namespace=job.namespace, labels=labels)))
    found: list[dict[str, Any]] = [
        pod for pod in pods if (pod.get("status") or {}).get("phase", "Pending") != "Pending" and _worker(pod) == worker
    ]
    return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _worker(pod: dict[str, Any]) -> int:
    index = (pod["metadata"].get("annotations") or {}).get(INDEX_ANNOTATION, "")
    return int(index) if index.isdecimal() else 0


def _opened(client: Client, namespace: str, pod: dict[str, Any], wish: LogWish) -> Iterator[str]:
    return read(
        lambda: client.log(
            pod["metadata"]["name"],
            namespace=namespace,
            container=pod["spec"]["containers"][0]["name"],
            follow=wish.follow,
            since=wish.since_seconds,
            tail_lines=wish.tail,
            timestamps=wish.timestamps,
            newlines=False,
        )
    )


def _again(client: Client, namespace: str, pod: dict[str, Any], wish: LogWish, told: Told) -> Iterator[str]:
    """The log with times; once some of it was told, all of it, since the API takes no time to begin from but an age."""
    stamped = replace(wish, timestamps=True)
    if told.since is not None:
        stamped = replace(stamped, tail=None, since_seconds=None)
    lines = _opened(client, namespace, pod, stamped)
    told.begin()
    yield from lines


def _has_ended(client: Client, namespace: str, pod: dict[str, Any]) -> bool:
    try:
        now = read(lambda: client.get(Pod, pod["metadata"]["name"], namespace=namespace))
    except ApiError as error:
        if error.status.code != 404:
            raise
        return True
    return now["metadata"]["uid"] != pod["metadata"]["uid"] or now["status"]["phase"] in ("Succeeded", "Failed")


def _kept(job: models.Job, attempt: int) -> Iterator[str]:
    for each in job.attempts:
        if each.number == attempt and each.log_tail:
            yield from each.log_tail.splitlines()
