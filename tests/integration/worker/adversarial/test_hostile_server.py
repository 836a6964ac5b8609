"""A server that lies: about names, about sizes, about how much it was asked for, and about where folders end."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.hostile_server import ROOT, Entry, Hostile, hostile_server
from tests.integration.worker.adversarial.verdict import assert_sound, failed
from tests.integration.worker.conftest import WorkerPod
from tests.support.samples import noise


@pytest.fixture
def hostile(pod: WorkerPod) -> Iterator[Hostile]:
    """The server that the pod's provider has."""
    with hostile_server() as server:
        sftp = pod.document["source"]["sftp"]
        sftp["port"] = server.port
        sftp["hostKeys"] = [f"[127.0.0.1]:{server.port} {server.host_key}"]
        pod.document["selection"]["paths"] = [ROOT.decode()]
        yield server


def test_names_that_are_paths_and_names_beyond_measure(pod: WorkerPod, hostile: Hostile) -> None:
    evil = (
        b"../up.csv",
        b"../../../../etc/evil.csv",
        b"/absolute.csv",
        b"in/side.csv",
        b"..\\back.csv",
        b"nul\0byte.csv",
        b"trailing/",
        b"n" * 1010 + b".csv",
        b"n" * 5000 + b".csv",
        b"n" * 100_000 + b".csv",
    )
    hostile.entries = [
        Entry(b"."),
        Entry(b".."),
        Entry(b""),
        Entry(b"good.csv", b"1,2\n"),
        *(Entry(name, b"evil") for name in evil),
        Entry(b"zzz-good-too.csv", b"3,4\n"),
    ]

    ended = pod.run()

    assert_sound(pod, ended)
    assert pod.data() == {"csv/good.csv": b"1,2\n", "csv/zzz-good-too.csv": b"3,4\n"}, ended.log[-3000:]
    assert set(failed(pod).values()) == {Category.CONFIG}
    assert len(failed(pod)) >= len(evil) - 1  # names that end alike share a last part
    assert all(len(row.source_path) <= 4096 for row in pod.manifest())


def test_sizes_that_are_not_so(pod: WorkerPod, hostile: Hostile) -> None:
    content = noise(1, 400_000)
    liars = [
        Entry(b"gives-less.csv", content, size=400_001),
        Entry(b"gives-nothing.csv", b"", size=10),
        Entry(b"gives-far-less.csv", content, size=1 << 62),
        Entry(b"gives-too-much-at-once.csv", content, beyond=b"extra"),
    ]
    hostile.entries = [
        *liars,
        # It is asked for what it said that it has, and no more: a file that grows is told by its size afterwards.
        Entry(b"drips.csv", content[:3000], at_once=7),
        Entry(b"short-answers.csv", content, at_once=1000),
        Entry(b"old.csv", b"1", mtime=0),
        Entry(b"coming.csv", b"2", mtime=(1 << 32) - 1),
    ]

    ended = pod.run()

    assert_sound(pod, ended)
    assert (
        pod.data().items()
        >= {
            "csv/drips.csv": content[:3000],
            "csv/short-answers.csv": content,
            "csv/old.csv": b"1",
        }.items()
    )
    # One that is of the future is too young by any age; whether it is taken is for the selection to say.
    assert set(pod.data()) <= {"csv/drips.csv", "csv/short-answers.csv", "csv/old.csv", "csv/coming.csv"}
    assert set(failed(pod)) == {entry.name.decode() for entry in liars}
    assert set(failed(pod).values()) <= {Category.INTEGRITY, Category.REMOTE_UNAVAILABLE}


def test_folders_without_end(pod: WorkerPod, hostile: Hostile) -> None:
    hostile.entries = [
        Entry(b"down", mode=stat.S_IFDIR | 0o755),
        Entry(b"good.csv", b"1,2\n"),
    ]

    ended = pod.run()

    assert_sound(pod, ended)
    assert pod.data()["csv/good.csv"] == b"1,2\n"
    assert failed(pod) == {"down": Category.CONFIG}


def test_one_name_told_twice_is_one_file(pod: WorkerPod, hostile: Hostile) -> None:
    hostile.entries = [Entry(b"a.csv", b"1"), Entry(b"a.csv", b"2"), Entry(b"good.csv", b"1,2\n")]

    ended = pod.run()

    assert_sound(pod, ended)
    assert pod.data().pop("csv/a.csv", b"1") == b"1"
    assert pod.data()["csv/good.csv"] == b"1,2\n"
