"""Key material is unwrapped in memory only."""

from __future__ import annotations

from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_worker.cli import memory
from octo_worker.cli.memory import filesystem, memory_dir
from octo_worker.failure import Failed

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
/dev/sdb1 /dev/shm/disk xfs rw 0 0
tmpfs /mnt/with\\040space tmpfs rw 0 0
/dev/sda2 /covered ext4 rw 0 0
tmpfs /covered tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", "ext4"),
        ("/dev/shm", "tmpfs"),
        ("/dev/shm/deep/er", "tmpfs"),
        ("/dev/shmother", "ext4"),
        ("/dev/shm/disk/x", "xfs"),
        ("/mnt/with space/x", "tmpfs"),
        ("/covered/x", "tmpfs"),
    ],
)
def test_the_closest_and_latest_mount_counts(path: str, kind: str) -> None:
    assert filesystem(Path(path), MOUNTS) == kind


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/shm/x")
    assert filesystem(tmp_path / "link", MOUNTS) == "tmpfs"


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /proc/self/mounts."""
    file = tmp_path / "mounts"
    file.write_text(MOUNTS)
    monkeypatch.setattr(memory, "MOUNTS", file)
    return file


def refused(given: Path | None) -> str:
    with pytest.raises(Failed) as caught:
        memory_dir(given)
    assert caught.value.category is Category.CONFIG
    return caught.value.detail


def test_the_default_must_be_in_memory(mounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "DEFAULT", tmp_path)
    assert "with --memory-dir" in refused(None)
    mounts.write_text(f"{MOUNTS}tmpfs {tmp_path} tmpfs rw 0 0\n")
    assert memory_dir(None) == tmp_path


def test_a_folder_on_a_disk_is_refused_with_the_reason(mounts: Path, tmp_path: Path) -> None:
    told = refused(tmp_path)
    assert f"{tmp_path} is on ext4" in told
    assert "must not reach a disk" in told
    assert "is no folder" in refused(tmp_path / "absent")


def test_where_nobody_tells_what_a_folder_is_on_the_user_does(mounts: Path, tmp_path: Path) -> None:
    mounts.unlink()
    assert memory_dir(tmp_path) == tmp_path
    assert "with --memory-dir" in refused(None)
