"""The OctoJob of one tick. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from octo_core.crd.resources import OctoProvider
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

SCHEDULER = "octo-controller/schedule"
"""``spec.requestedBy`` of a run that a schedule made."""


def scheduled_job(provider: OctoProvider, tick: datetime) -> dict[str, Any]:
    """What to create. Its name is that of the tick, so that there is one run of it however often it is created."""
    name = provider.meta.name
    return {
        "apiVersion": API_VERSION,
        "kind": "OctoJob",
        "metadata": {
            "name": scheduled_job_name(name, tick),
            "namespace": provider.meta.namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_PROVIDER: name, LABEL_SCHEDULE: name},
            # Set from the start, it saves the controller a write.
            "finalizers": [ARCHIVE_FINALIZER],
        },
        "spec": {
            "providerRef": {"name": name},
            "requestedBy": SCHEDULER,
            "scheduleRef": {"name": name, "scheduledTime": rfc3339(tick)},
        },
    }
