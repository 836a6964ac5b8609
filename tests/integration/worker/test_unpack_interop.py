"""Archives and compressed files as the tools of the world write them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.provider import OpenPgpMode, Unpack, UnpackMode
from octo_worker.failure import Failed
from octo_worker.layout import ArchiveKind, opening
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.archive import members
from octo_worker.stages.expand import expand
from tests.support.samples import csv, noise

FILES = {
    "daily/a.csv": csv(1, 5000),
    "daily/grüße.csv": csv(2, 10),
    "daily/sub/" + "n" * 60 + ".csv": csv(3, 100),
    "empty": b"",
    "noise.bin": noise(4, 300_000),
    "zeros.bin": bytes(1 << 20),
}
LONG = {"d" * 120 + "/" + "e" * 150 + ".csv": csv(5, 10)}
PYTHON = f"'{sys.executable}' -m"
# 7z makes no tar in place of a pipe, nor does it overwrite.
TAR = {
    "GNU tar v7": "tar -cf {out} --format=v7 *",
    "GNU tar oldgnu": "tar -cf {out} --format=oldgnu .",
    "GNU tar gnu": "tar -cf {out} --format=gnu .",
    "GNU tar gnu, multiple of 1 MiB": "tar -cf {out} -b 2048 .",
    "GNU tar ustar": "tar -cf {out} --format=ustar .",
    "GNU tar pax": "tar -cf {out} --format=posix .",
    "GNU tar pax, all there is": "tar -cf {out} --format=posix --xattrs --acls --numeric-owner *",
    "bsdtar ustar": "bsdtar -cf {out} --format ustar .",
    "bsdtar pax": "bsdtar -cf {out} --format pax .",
    "bsdtar restricted pax": "bsdtar -cf {out} *",
    "bsdtar gnutar": "bsdtar -cf {out} --format gnutar .",
    "bsdtar v7": "bsdtar -cf {out} --format v7 *",
    "bsdtar by a pipe": "bsdtar -cf - . > {out}",
    "Python": PYTHON + " tarfile -c {out} *",
    "7z": "7z a -bso0 -bsp0 -ttar {out} .",
    "7z pax": "7z a -bso0 -bsp0 -ttar -mm=pax {out} .",
}
ZIP = {
    "Info-ZIP": "zip -qr {out} .",
    "Info-ZIP by a pipe": "zip -qr - . | cat > {out}",
    "Info-ZIP stored": "zip -q0r {out} .",
    "Info-ZIP without extra fields": "zip -qrX9 {out} *",
    "Info-ZIP zip64": "zip -qr -fz {out} .",
    "Info-ZIP with a comment": "echo PK was here | zip -qrz {out} .",
    "bsdtar": "bsdtar -cf {out} --format zip .",
    "bsdtar by a pipe": "bsdtar -cf - --format zip . | cat > {out}",
    "bsdtar stored": "bsdtar -cf {out} --format zip --options zip:compression=store .",
    "bsdtar zip64": "bsdtar -cf {out} --format zip --options zip:zip64 *",
    "Python": PYTHON + " zipfile -c {out} *",
    "7z": "7z a -bso0 -bsp0 -tzip {out} .",
    "7z, best": "7z a -bso0 -bsp0 -tzip -mx=9 -mcu=on {out} .",
    "7z stored": "7z a -bso0 -bsp0 -tzip -mx=0 {out} .",
}
LONG_NAMES = ("GNU tar gnu", "GNU tar pax", "bsdtar pax", "bsdtar gnutar", "Python", "7z", "7z pax")
COMPRESSORS = {
    "gzip": "gz", "gzip -9": "gz", "pigz -b 128": "gz", "pigz -i": "gz", PYTHON + " gzip --best": "gz",
    "bzip2": "bz2", "bzip2 -1": "bz2",
    "xz": "xz", "xz -9e": "xz", "xz -T2 --block-size=100KiB": "xz", "xz -C sha256": "xz",
    "xz -C crc32 --x86 --lzma2": "xz",
    "zstd": "zst", "zstd -19": "zst", "zstd --ultra -20": "zst", "zstd --fast --no-check": "zst",
    "zstd -T2 -B1MiB": "zst",
    "zstd --long=25": "zst",
}  # fmt: skip


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted(tmp_path_factory.mktemp("tree"), FILES)


def planted(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def run(command: str, folder: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    with chdir(folder):
        subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=True, env=environment)


def read(path: Path, limits: Unpack | None = None) -> dict[str, bytes]:
    """What the worker makes of a file by its name; a file that is no archive is its own member."""
    how = opening(path.name, OpenPgpMode.NEVER, UnpackMode.AUTO)
    limits, size = limits or Unpack(), path.stat().st_size
    with path.open("rb") as file:
        chunks: Iterator[bytes] = iter(lambda: file.read(100_000), b"")
        if how.compression:
            chunks = expand(how.compression, chunks, ExpansionMeter(size, limits))
        if how.archive is None:
            return {how.stem: b"".join(chunks)}
        return {member.name: b"".join(member.chunks) for member in members(how.archive, chunks, limits, size)}


@pytest.mark.parametrize("writer", TAR)
def test_tar(writer: str, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tar"
    run(TAR[writer].format(out=out), tree)
    assert read(out) == FILES


@pytest.mark.parametrize("writer", LONG_NAMES)
def test_tar_with_long_names(writer: str, tmp_path: Path) -> None:
    out = tmp_path / "out.tar"
    run(TAR[writer].format(out=out), planted(tmp_path / "tree", LONG))
    assert read(out) == LONG


@pytest.mark.parametrize("writer", ZIP)
def test_zip(writer: str, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    run(ZIP[writer].format(out=out), tree)
    assert read(out) == FILES


@pytest.mark.parametrize("out", ["out.zip", "- | cat > out.zip"])
def test_zip_of_the_standard_input(out: str, tree: Path, tmp_path: Path) -> None:
    run(f"cat {tree}/daily/a.csv | zip -q {out} -".replace("- | cat > out.zip -", "- - | cat > out.zip"), tmp_path)
    assert read(tmp_path / "out.zip") == {"-": FILES["daily/a.csv"]}


@pytest.mark.parametrize("command", COMPRESSORS)
def test_compressed(command: str, tree: Path, tmp_path: Path) -> None:
    for name in ("daily/a.csv", "empty", "noise.bin", "zeros.bin"):
        copy = tmp_path / "data"
        copy.write_bytes(FILES[name])
        run(f"{command} data" if "python" in command else f"{command} -c data > data.{COMPRESSORS[command]}", tmp_path)
        assert read(tmp_path / f"data.{COMPRESSORS[command]}") == {"data": FILES[name]}


@pytest.mark.parametrize(
    ("ending", "option"), [("tgz", "-z"), ("tar.bz2", "-j"), ("txz", "-J"), ("tar.zst", "--zstd"), ("tzst", "--zstd")]
)
@pytest.mark.parametrize("tar", ["tar", "bsdtar"])
def test_compressed_tar(tar: str, ending: str, option: str, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out.{ending}"
    run(f"{tar} {option} -cf {out} .", tree)
    assert read(out) == FILES


@pytest.mark.parametrize(
    ("tool", "option"), [("zstd", "--long=27"), ("zstd", "--ultra -22"), ("xz", "--lzma2=dict=128MiB")]
)
def test_what_asks_for_too_much_memory(tool: str, option: str, tmp_path: Path) -> None:
    # From a pipe, so that zstd cannot make the window smaller than asked for.
    ending = COMPRESSORS[tool]
    run(f"printf data | {tool} {option} -c > data.{ending}", tmp_path)
    with pytest.raises(Failed, match="asks for more than") as caught:
        read(tmp_path / f"data.{ending}")
    assert caught.value.category is Category.UNPACK_LIMIT


@pytest.mark.parametrize(
    ("command", "ending"),
    [
        ("tar -cf {out} .", "tar"),
        ("bsdtar -cf {out} .", "tar"),
        ("7z a -bso0 -bsp0 -ttar -snl {out} .", "tar"),
        ("zip -qry {out} .", "zip"),
        ("bsdtar -cf {out} --format zip .", "zip"),
        ("7z a -bso0 -bsp0 -tzip -snl {out} .", "zip"),
    ],
)
def test_links_are_refused(command: str, ending: str, tmp_path: Path) -> None:
    tree = planted(tmp_path / "tree", {"a.csv": b"a,b"})
    (tree / "link").symlink_to("/etc/passwd")
    out = tmp_path / f"out.{ending}"
    run(command.format(out=out), tree)
    with pytest.raises(Failed, match="not a regular file") as caught:
        read(out)
    assert caught.value.category is Category.INTEGRITY


@pytest.mark.parametrize("command", ["tar -cf {out} a b", "bsdtar -cf {out} a b"])
def test_hard_links_are_refused(command: str, tmp_path: Path) -> None:
    tree = planted(tmp_path / "tree", {"a": b"a,b"})
    (tree / "b").hardlink_to(tree / "a")
    out = tmp_path / "out.tar"
    run(command.format(out=out), tree)
    with pytest.raises(Failed, match="'b' is a link or device"):
        read(out)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("zip -qP secret {out} a.csv", "encrypted by zip itself"),
        ("7z a -bso0 -bsp0 -tzip -psecret {out} a.csv", "encrypted by zip itself"),
        ("7z a -bso0 -bsp0 -tzip -psecret -mem=AES256 {out} a.csv", "encrypted by zip itself"),
        ("7z a -bso0 -bsp0 -tzip -mm=Deflate64 {out} a.csv", r"method 9 \(Deflate64\)"),
        ("7z a -bso0 -bsp0 -tzip -mm=LZMA {out} a.csv", r"method 14 \(LZMA\)"),
        ("7z a -bso0 -bsp0 -tzip -mm=PPMd {out} a.csv", r"method 98 \(PPMd\)"),
        ("zip -q -Z bzip2 {out} a.csv", r"method 12 \(BZIP2\)"),
        ("zip -q {out} a.csv; echo more >> {out}", "data after the end record"),
        # An offset that says it stands in a record which Info-ZIP then forgets; 7z and Python do not read it either.
        ("zip -q -fz - a.csv | cat > {out}", "end record"),
        ("zip -q in.zip a.csv; cat /bin/true in.zip > {out}", "no zip archive"),
        ("zip -q in.zip a.csv; cat /bin/true in.zip > {out}; zip -qA {out}", "no zip archive"),
    ],
)
def test_other_zips_are_refused(command: str, why: str, tmp_path: Path) -> None:
    planted(tmp_path, {"a.csv": csv(1, 1000)})
    out = tmp_path / "out.zip"
    run(command.format(out=out), tmp_path)
    with pytest.raises(Failed, match=why) as caught:
        read(out)
    assert caught.value.category is Category.INTEGRITY


def test_names_by_locale(tmp_path: Path) -> None:
    """What is written in a locale without UTF-8 has the same name: nothing in the archive tells it apart."""
    tree = planted(tmp_path / "tree", {"grüße.csv": b"a,b"})
    for kind, command in (
        (ArchiveKind.TAR, "tar -cf"), (ArchiveKind.TAR, "bsdtar -cf"),
        (ArchiveKind.ZIP, "zip -qr"), (ArchiveKind.ZIP, "bsdtar --format zip -cf"),
    ):  # fmt: skip
        out = tmp_path / f"{command.split()[0]}.{kind}"
        run(f"LC_ALL=C {command} {out} .", tree)
        assert read(out) == {"grüße.csv": b"a,b"}, command


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    run("truncate -s 10M a.bin; printf x >> a.bin", tree)
    for format_ in ("gnu", "posix"):
        out = tmp_path / f"{format_}.tar"
        run(f"tar -cSf {out} --format={format_} .", tree)
        with pytest.raises(Failed, match="sparse"):
            read(out)
