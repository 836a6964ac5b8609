"""Runs as JSON, straight from their rows.

What an OctoJob says of itself was checked against its schema when it was stored, so it is passed on as it stands:
building ``schemas.Job`` for each row of a page would cost more than reading the page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from fastapi import Response
from pydantic_core import to_json

from octo_api.jobs.schemas import JobFile
from octo_core.db.job_reads import JobRecord
from octo_core.domain.model import rfc3339

Document = dict[str, Any]


def _same(value: Any) -> Any:
    return value


def _time(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def _of_status(key: str, default: Any = None) -> tuple[str, Callable[[Any], Any]]:
    return "status", lambda status: status.get(key, default)


_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "id": ("uid", _same),
    "namespace": ("namespace", _same),
    "name": ("name", _same),
    "provider": ("provider", _same),
    "state": ("state", _same),
    "reason": ("reason", _same),
    "attempt": ("attempt", _same),
    "priority": ("priority", _same),
    "queuePosition": _of_status("queuePosition"),
    "requestedBy": ("requested_by", _same),
    "rerunOf": ("rerun_of", _same),
    "schedule": ("schedule", _same),
    "createdAt": ("created_at", _time),
    "startedAt": ("started_at", _time),
    "finishedAt": ("finished_at", _time),
    "nextAttemptAt": _of_status("nextAttemptTime"),
    "deletedAt": ("deleted_at", _time),
    "progress": _of_status("progress"),
    "failure": _of_status("failure"),
    "attempts": _of_status("attempts", []),
    "conditions": _of_status("conditions", []),
    "manifest": _of_status("manifestRef"),
    "labels": ("labels", _same),
    "spec": ("spec", _same),
}
"""For each field of ``schemas.Job`` the column it comes from, and how."""

ALL_FIELDS: frozenset[str] = frozenset(_FIELDS)


def columns_of(fields: Collection[str]) -> list[str]:
    """The columns of ``jobs`` that these fields need."""
    return sorted({_FIELDS[field][0] for field in fields})


def document_of(row: Any, fields: Collection[str] = ALL_FIELDS) -> Document:
    """A run, or these fields of it, from a row or a JobRecord."""
    return {name: render(getattr(row, column)) for name, (column, render) in _FIELDS.items() if name in fields}


_FILE_FIELDS = {str(field.alias): name for name, field in JobFile.model_fields.items()}


def file_of(row: Mapping[str, Any]) -> Document:
    """What became of an object of a run, from its row, as ``schemas.JobFile``."""
    values = {alias: row[name] for alias, name in _FILE_FIELDS.items()}
    values["sourceModifiedAt"] = _time(values["sourceModifiedAt"])
    values["finishedAt"] = _time(values["finishedAt"])
    return values


def etag_of(record: JobRecord) -> str:
    """Changes whenever the representation of the run does: with its OctoJob, and when that is gone."""
    return f'"{record.resource_version}{"" if record.deleted_at is None else "-deleted"}"'


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of plain data, without another look at it."""
    return Response(to_json(content), status, headers=dict(headers or {}), media_type="application/json")


def job_response(record: JobRecord, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that shows a run."""
    return json_response(document_of(record), status, {"ETag": etag_of(record), **(headers or {})})
