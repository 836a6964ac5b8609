"""What the locks in requirements/ say that goes into each image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

REPO = Path(__file__).parents[2]
IMAGES = ("api", "controller", "worker")
# The images' own Python, on whatever machine this runs.
_ENVIRONMENT = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.2",
    "python_version": "3.11",
    "sys_platform": "linux",
}
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+))?", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package at one version."""

    name: str
    version: str


def pins(lock: str) -> list[Pin]:
    """The packages of a lock's text that an image gets."""
    found = []
    for match in _PIN.finditer(lock):
        marker = match["marker"]
        if marker is None or Marker(marker.strip()).evaluate(dict(_ENVIRONMENT)):
            found.append(Pin(match["name"], match["version"]))
    return found


def lock_of(image: str) -> Path:
    """The lock of an image's Python packages."""
    return REPO / "requirements" / f"{image}.lock"


def in_images() -> dict[Pin, list[str]]:
    """Each package, and the images that it is in."""
    found: dict[Pin, list[str]] = {}
    for image in IMAGES:
        for pin in pins(lock_of(image).read_text()):
            found.setdefault(pin, []).append(image)
    return dict(sorted(found.items()))


def hashes(lock: str, pin: Pin) -> list[str]:
    """The SHA-256 digests that a lock allows a package's file to have."""
    _, _, rest = lock.partition(f"\n{pin.name}=={pin.version}")
    block = re.match(r"[^\n]*\n(?:    [^\n]*\n)*", rest)
    return re.findall(r"--hash=sha256:([0-9a-f]{64})", block[0]) if block else []
