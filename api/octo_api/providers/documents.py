"""From what a client says of a provider to an OctoProvider: checked, and without any secret in it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from octo_api.merge_patch import merge
from octo_api.providers.schemas import ProviderRequest, ProviderUpdate
from octo_core.crd.resources import Raw
from octo_core.domain.calendar import CalendarError, fire_times
from octo_core.domain.errors import InvalidError
from octo_core.domain.inline_secrets import inline_secrets
from octo_core.domain.names import API_VERSION
from octo_core.domain.pointers import pointer
from octo_core.domain.schedule import Schedule
from octo_core.domain.text import has_nul
from octo_core.kube.resources import OCTOPROVIDERS

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_BY_REFERENCE_ONLY = "A secret stands in the provider itself; see errors. Octo takes secrets by reference only."


def new_provider(request: ProviderRequest, namespace: str) -> Raw:
    """The OctoProvider to create. Raises InvalidError for a secret in it."""
    written = _written(request)
    return {
        "apiVersion": API_VERSION,
        "kind": OCTOPROVIDERS.kind,
        "metadata": {"name": request.name, "namespace": namespace, "labels": written["labels"]},
        "spec": written["spec"],
    }


def replaced(raw: Raw, update: ProviderUpdate) -> Raw:
    """The OctoProvider with labels and spec as the client said. Raises InvalidError for a secret in it.

    Files that wait to be fetched again go on waiting, unless the client speaks of them.
    """
    written = _written(update)
    waiting = raw.get("spec", {}).get("refetch")
    if waiting and "refetch" not in written["spec"]:
        written["spec"]["refetch"] = waiting
    return _with(raw, written)


def patched(raw: Raw, patch: dict[str, Any]) -> Raw:
    """The OctoProvider after a merge patch on ``labels`` and ``spec``.

    Raises InvalidError if the patch, or what comes of it, is not valid, or holds a secret.
    """
    current = {"labels": raw["metadata"].get("labels") or {}, "spec": raw.get("spec", {})}
    merged = merge(current, patch)
    try:
        update = ProviderUpdate.model_validate(merged)
    except ValidationError as error:
        fields = [(pointer(*found["loc"]), found["msg"]) for found in error.errors(include_url=False)]
        raise InvalidError("The provider would not match its schema; see errors.", fields=fields) from None
    return _with(raw, _written(update))


def _written(update: ProviderUpdate) -> dict[str, Any]:
    """What the client said, and no defaults: those are the API server's to fill in."""
    written = update.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    written.setdefault("labels", {})
    found = list(inline_secrets(written))
    if found:
        raise InvalidError(_BY_REFERENCE_ONLY, fields=found)
    if has_nul(written):
        raise InvalidError("text may not contain the NUL character")
    if update.spec.schedule is not None:
        _require_calendar(update.spec.schedule)
    return written


def _require_calendar(schedule: Schedule) -> None:
    try:
        fire_times(schedule.cron, schedule.time_zone, after=_ANY_TIME)
    except CalendarError as error:
        raise InvalidError(f"the schedule {error}", field=f"/spec/schedule/{error.field}") from error


def _with(raw: Raw, written: dict[str, Any]) -> Raw:
    return {**raw, "metadata": {**raw["metadata"], "labels": written["labels"]}, "spec": written["spec"]}
