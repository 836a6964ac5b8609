"""What must hold after every run, however its files were damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import PurePath

from octo_core.domain.failure import EXIT_CODES, Category
from octo_core.domain.report import FileOutcome, FileResult
from tests.integration.worker.conftest import PREFIX, Ended, WorkerPod

NOT_BY_THE_FILE = {Category.INFRA, Category.REMOTE_UNAVAILABLE, Category.SINK_UNAVAILABLE}
"""A run in which a file failed so fails, also with onFileError SkipFile."""


def name_of(row: FileResult) -> str:
    """A row's file, without its folders."""
    return PurePath(row.source_path).name


def failed(pod: WorkerPod, attempt: int = 1) -> dict[str, Category]:
    """Every failed file by its name, with its category; one row each."""
    rows = [row for row in pod.manifest(attempt) if row.outcome is FileOutcome.FAILED]
    found = {name_of(row): row.category for row in rows if row.category is not None}
    assert len(found) == len(rows), "a failed file has one row, and says why"
    assert all(row.message and row.key is None for row in rows)
    return found


def assert_sound(pod: WorkerPod, ended: Ended, attempt: int = 1) -> None:
    """What is visible is whole and told of with its digest, nothing is half done, the exit code says what happened."""
    assert pod.bucket.open_uploads() == []
    assert_told_truly(pod, ended, attempt)


def assert_told_truly(pod: WorkerPod, ended: Ended, attempt: int = 1) -> None:
    """As ``assert_sound``, but for uploads that an earlier attempt may have left open."""
    keys = pod.bucket.objects()
    folders = tuple(f"{PREFIX}/{folder}/" for folder in ("data", "archives", "manifests"))
    assert [key for key in keys if not key.startswith(folders)] == []
    assert ended.code == (EXIT_CODES[ended.outcome.category] if ended.outcome.category else 0)
    if ended.outcome.manifest is None:
        return
    rows = pod.manifest(attempt)
    told = [row for row in rows if row.outcome is not FileOutcome.FAILED]
    assert len({row.key for row in told}) == len(told), "no object is told twice"
    for row in told:
        assert row.key is not None
        content = pod.bucket.read(row.key)
        assert (row.size, row.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    categories = {row.category for row in rows if row.outcome is FileOutcome.FAILED}
    if not categories or ended.outcome.category is Category.CANCELLED:
        return
    if pod.document["transfer"].get("onFileError") == "SkipFile" and not categories & NOT_BY_THE_FILE:
        assert (ended.code, ended.outcome.reason) == (0, "CompletedWithSkips"), ended.log
    else:
        assert ended.outcome.category in categories, ended.log


def assert_only(
    pod: WorkerPod,
    ended: Ended,
    good: Mapping[str, bytes],
    bad: Mapping[str, Collection[Category]],
    *,
    attempt: int = 1,
) -> None:
    """The good objects are there and nothing else; each bad file has failed for one of its reasons, and no other."""
    assert ended.outcome.manifest is not None, ended.log
    stored = pod.data()
    assert {key: len(data) for key, data in stored.items()} == {key: len(data) for key, data in good.items()}
    assert stored == good
    found = failed(pod, attempt)
    assert set(found) == set(bad)
    assert {name: found[name] for name in bad if found[name] not in bad[name]} == {}
    markers = {PurePath(key).name.removesuffix(".json") for key in pod.bucket.objects(f"{PREFIX}/archives/")}
    assert markers & set(bad) == set(), "a bad archive counts as stored"
    assert_sound(pod, ended, attempt)
