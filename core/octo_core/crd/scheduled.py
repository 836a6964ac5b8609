"""The OctoJob of one tick of a schedule. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from octo_core.domain.model import rfc3339
from octo_core.domain.names import (
    API_VERSION,
    ARCHIVE_FINALIZER,
    LABEL_MANAGED_BY,
    LABEL_PROVIDER,
    LABEL_SCHEDULE,
    MANAGED_BY,
    scheduled_job_name,
)
from octo_core.domain.partitions import partition_labels


def schedule_ref(provider: str, at: datetime) -> dict[str, Any]:
    """``spec.scheduleRef`` of a run by a provider's schedule."""
    return {"name": provider, "scheduledTime": rfc3339(at)}


def scheduled_job(namespace: str, provider: str, tick: datetime, *, requested_by: str) -> dict[str, Any]:
    """What to create. Its name is that of the tick, so that there is one run of it however often it is created."""
    return {
        "apiVersion": API_VERSION,
        "kind": "OctoJob",
        "metadata": {
            "name": scheduled_job_name(provider, tick),
            "namespace": namespace,
            "labels": {
                LABEL_MANAGED_BY: MANAGED_BY,
                LABEL_PROVIDER: provider,
                LABEL_SCHEDULE: provider,
                **partition_labels(namespace, provider),
            },
            # Set from the start, it saves the controller a write.
            "finalizers": [ARCHIVE_FINALIZER],
        },
        "spec": {
            "providerRef": {"name": provider},
            "requestedBy": requested_by,
            "scheduleRef": schedule_ref(provider, tick),
        },
    }
