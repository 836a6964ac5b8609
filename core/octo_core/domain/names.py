"""Names that are promises: group, labels, annotations, finalizer, and names derived from others."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

GROUP = "octo.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

ARCHIVE_FINALIZER = f"{GROUP}/archive"
"""Held by an OctoJob until its last state is committed to Postgres."""

LABEL_JOB = f"{GROUP}/job-name"
LABEL_JOB_UID = f"{GROUP}/job-uid"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_PROVIDER = f"{GROUP}/provider"
LABEL_SCHEDULE = f"{GROUP}/schedule"
"""On an OctoJob that a schedule made: the OctoProvider whose schedule it is."""

LABEL_PARTITION = f"{GROUP}/partition"
"""On an OctoJob and its Jobs: the number of the provider's partition (``domain.partitions``)."""

LABEL_ARCHIVED = f"{GROUP}/archived"
"""``true`` on an OctoJob that is over and rests, and on its Jobs: the controller keeps them in view no more."""

LABEL_LEASE = f"{GROUP}/lease"
LABEL_SHARD = f"{GROUP}/shard"
LABEL_SHARDS = f"{GROUP}/shards"
"""On the Lease of a controller: whose release it is, which controller, and of how many."""

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "octo"
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
"""Kueue's own: a Job that carries it waits in that LocalQueue, and Kueue alone changes its ``spec.suspend``."""

ANNOTATION_RUN = f"{GROUP}/run"
"""On the pod of a run: the resolved run document (``domain.run.Run``) as JSON, never a secret."""

REPORT_AUDIENCE = "octo-api"
"""Audience of the projected ServiceAccount token with which a worker reports."""

MAX_JOB_NAME_LENGTH = 52
"""An OctoJob's name: the child ``<name>-<attempt>`` must fit a label (63), and the pod adds a suffix."""


def child_name(job_name: str, attempt: int) -> str:
    """Name of the batch/v1 Job of one attempt. Deterministic, so that a repeated create is refused."""
    return f"{job_name}-{attempt}"


def keyed_job_name(tenant: str, idempotency_key: str) -> str:
    """The OctoJob name that a tenant's Idempotency-Key stands for, however often it is sent."""
    digest = hashlib.sha256(f"{tenant}\0{idempotency_key}".encode()).digest()
    return "oj-" + base64.b32encode(digest).decode().lower().rstrip("=")[:20]


def scheduled_job_name(provider: str, tick: datetime) -> str:
    """The OctoJob name of one tick of a provider's schedule, so that no tick makes two runs, whoever sees it.

    Readable as long as the provider's name leaves room for the time (UTC, whole minutes).
    """
    suffix = tick.astimezone(UTC).strftime("-%Y%m%d%H%M")
    room = MAX_JOB_NAME_LENGTH - len(suffix)
    if len(provider) > room:
        digest = hashlib.sha256(provider.encode()).hexdigest()[:8]
        provider = f"{provider[: room - len(digest) - 1].rstrip('-.')}-{digest}"
    return provider + suffix
