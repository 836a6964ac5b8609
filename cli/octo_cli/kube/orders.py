"""The OctoJobs that are created. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from octo_cli.backend import Order
from octo_client import models
from octo_core.domain import names
from octo_core.domain.partitions import partition_labels
from octo_core.domain.rerun import repeated_spec

TENANT = "kubectl"
"""Stands before the idempotency keys of this way, so that they never meet the server's."""

ORDER = f"{names.GROUP}/order"
"""Annotation with the fingerprint of what was asked for under a key. ``spec.idempotency`` is Octo's own to write."""

_SUFFIX = 6


def octojob(order: Order, *, namespace: str) -> dict[str, Any]:
    """The OctoJob of an order. One with an idempotency key has one name, which can exist only once."""
    labels = {
        **order.labels,
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_PROVIDER: order.provider,
        **partition_labels(namespace, order.provider),
    }
    spec = {**order.options, "providerRef": {"name": order.provider}}
    meta: dict[str, Any] = {"namespace": namespace, "labels": labels}
    if order.idempotency_key is None:
        room = names.MAX_JOB_NAME_LENGTH - _SUFFIX
        meta["generateName"] = f"{order.provider[:room].rstrip('-.')}-"
    else:
        meta["name"] = names.keyed_job_name(TENANT, order.idempotency_key)
        meta["annotations"] = {ORDER: _fingerprint(spec, order.labels)}
    return {"apiVersion": names.API_VERSION, "kind": "OctoJob", "metadata": meta, "spec": spec}


def repeated(job: models.Job, *, idempotency_key: str | None) -> dict[str, Any]:
    """The OctoJob that runs one more time what this one ran."""
    spec = repeated_spec(job.spec, name=job.name, uid=job.id)
    own = {
        key: value
        for key, value in job.labels.items()
        if not key.startswith(f"{names.GROUP}/") and key != names.LABEL_MANAGED_BY
    }
    return octojob(Order(job.provider, spec, own, idempotency_key), namespace=job.namespace)


def same_order(asked: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether an OctoJob of that name stands for the same order."""
    prints = [(raw["metadata"].get("annotations") or {}).get(ORDER) for raw in (asked, found)]
    return prints[0] is not None and prints[0] == prints[1]


def _fingerprint(spec: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    text = json.dumps({"spec": spec, "labels": labels}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
