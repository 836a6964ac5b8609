"""A run once more: pure."""

from __future__ import annotations

from collections.abc import Sequence

from octo_api.errors import InvalidStateError
from octo_api.jobs.manifest import Order, fingerprint
from octo_api.jobs.schemas import RerunMode
from octo_core.db.job_reads import JobRecord
from octo_core.domain import names
from octo_core.domain.rerun import repeated_spec
from octo_core.domain.selection import SelectionPolicy
from octo_core.domain.status import State

MAX_FILES = 200
"""As many paths as ``selection.files`` takes."""

_SET_BY_OCTO = (names.LABEL_MANAGED_BY, names.LABEL_PROVIDER)


def rerun_of(record: JobRecord, mode: RerunMode, failed: Sequence[str]) -> Order:
    """The order for a run that repeats ``record``; ``failed`` are the paths of its files that failed.

    Raises InvalidStateError for a run that is not over, and for FailedFiles where no file failed, or more than
    a run can be told of.
    """
    if not State(record.state).terminal:
        raise InvalidStateError(f"the job has not ended: {record.state}; rerun it when it has")
    spec = repeated_spec(record.spec, name=record.name, uid=record.uid)
    if mode is RerunMode.FAILED_FILES:
        spec["selection"] = _only(record, failed)
    labels = {key: value for key, value in record.labels.items() if key not in _SET_BY_OCTO}
    return Order(record.provider, record.namespace, spec, labels, fingerprint(rerunOf=record.uid, mode=mode.value))


def _only(record: JobRecord, failed: Sequence[str]) -> dict[str, object]:
    if not failed:
        raise InvalidStateError("no file of this job failed; use mode All")
    if len(failed) > MAX_FILES:
        raise InvalidStateError(
            f"more than {MAX_FILES} files of this job failed; use mode All, which leaves alone what is stored already"
        )
    selection: dict[str, object] = {"policy": SelectionPolicy.EXPLICIT.value, "files": list(failed)}
    paths = record.spec.get("selection", {}).get("paths")
    return {**selection, "paths": paths} if paths else selection
