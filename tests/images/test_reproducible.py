"""An image is the same wherever and whenever it is built, and holds nothing that says when or where that was.

A verb of its own, ``make test-reproducible``: it takes minutes. No cluster is needed.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.support.kubectl import ROOT

TARGETS = os.environ.get("OCTO_REPRODUCE", "worker").split()
COPIED = ("api", "controller", "core", "deploy", "requirements", "worker")
# In the head of a pyc: it belongs to the source of this hash, not to that of this date.
BY_HASH = 0b01


@pytest.fixture(scope="module", autouse=True)
def with_buildah() -> None:
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0:
        pytest.skip("a Docker engine gives files the dates of their build")


def images(folder: Path, verb: str, *targets: str) -> str:
    """What ``deploy/images.sh`` of a tree says; its own story goes to the test's output."""
    command = [str(folder / "deploy" / "images.sh"), verb, *targets]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=1800, check=True).stdout


def test_it_comes_out_the_same_elsewhere_and_later(tmp_path: Path) -> None:
    # Not what was built some days ago: packages have moved on since then.
    here = images(ROOT, "rebuild", *TARGETS)
    assert [line.split()[0] for line in here.splitlines()] == TARGETS
    elsewhere = tmp_path / "some" / "other place"
    elsewhere.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, elsewhere / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path in elsewhere.rglob("*"):
        os.utime(path, (981_173_106, 981_173_106))
    assert images(elsewhere, "rebuild", *TARGETS) == here


@pytest.mark.parametrize("target", TARGETS)
def test_no_file_tells_when_it_was_made(target: str) -> None:
    (archive,) = images(ROOT, "archive", target).split()
    found = re.search(r"SOURCE_DATE_EPOCH=(\d+)", (ROOT / "deploy" / "versions.env").read_text())
    assert found
    dates, compiled = set(), 0
    for entry, body in files_of(Path(archive)):
        dates.add(entry.mtime)
        if entry.name.endswith(".pyc"):
            assert body is not None
            assert body.read(8)[4] & BY_HASH, entry.name
            compiled += 1
        assert "uv_cache.json" not in entry.name
        assert not entry.name.startswith(("var/log/", "var/cache/apt/")) or entry.isdir(), entry.name
    assert dates == {int(found[1])}
    assert compiled > 100


def files_of(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Each entry of each layer but the base's, which is built by other means."""
    with tarfile.open(archive) as image:

        def blob(digest: str) -> bytes:
            member = image.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert member is not None
            return member.read()

        index = image.extractfile("index.json")
        assert index is not None
        manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as unpacked:
                for entry in unpacked:
                    yield entry, unpacked.extractfile(entry) if entry.isreg() else None
