"""Which of the workers that share a run takes a file.

Every worker lists the source by itself and keeps its own share, so that none needs to ask another: all that
they agree on is this function. It must never change while a run may be under way on two versions of the worker.
"""

from __future__ import annotations

import hashlib

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Environment variable of an Indexed Job's container, set by Kubernetes: the worker's number, from 0."""
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
"""Annotation of an Indexed Job's pod, set by Kubernetes: the same."""


def shard_of(path: str, shards: int) -> int:
    """The number, from 0, of the worker among ``shards`` that takes the file at ``path`` as it is listed."""
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % shards
