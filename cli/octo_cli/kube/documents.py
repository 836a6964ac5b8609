"""From custom resources to the documents that REST would show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from octo_client import models

Raw = Mapping[str, Any]
M = TypeVar("M", bound=BaseModel)


def job_of(raw: Raw) -> models.Job:
    """A run from its OctoJob."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    conditions = status.get("conditions") or []
    return _model(
        models.Job,
        {
            "id": meta["uid"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "labels": meta.get("labels") or {},
            "createdAt": meta["creationTimestamp"],
            "provider": spec["providerRef"]["name"],
            "priority": spec.get("priority") or 0,
            "requestedBy": spec.get("requestedBy"),
            "rerunOf": (spec.get("rerunOf") or {}).get("uid"),
            "schedule": (spec.get("scheduleRef") or {}).get("name"),
            "spec": spec,
            "state": status.get("state") or "Pending",
            "reason": next((each["reason"] for each in conditions if each["type"] == "Succeeded"), None),
            "attempt": status.get("attempt") or 0,
            "attempts": status.get("attempts") or [],
            "conditions": conditions,
            "queuePosition": status.get("queuePosition"),
            "startedAt": status.get("startTime"),
            "finishedAt": status.get("completionTime"),
            "nextAttemptAt": status.get("nextAttemptTime"),
            "progress": status.get("progress"),
            "failure": status.get("failure"),
            "manifest": status.get("manifestRef"),
        },
    )


def provider_of(raw: Raw) -> models.Provider:
    """A provider from its OctoProvider."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    return _model(
        models.Provider,
        {
            "id": meta["name"],
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": meta.get("labels") or {},
            "createdAt": meta["creationTimestamp"],
            "type": "container" if spec.get("container") else "sftp",
            "spec": spec,
            "conditions": status.get("conditions") or [],
            "lastSuccessAt": status.get("lastSuccessTime"),
            "lastJob": status.get("lastJob"),
            "schedule": status.get("schedule"),
        },
    )


def _model(kind: type[M], known: dict[str, Any]) -> M:
    """The model of what is known. A field that REST has, and the cluster does not, is null: a field that the server
    gets later cannot break this."""
    unknown = {field.alias or name: None for name, field in kind.model_fields.items()}
    return kind.model_validate({**unknown, **known})
