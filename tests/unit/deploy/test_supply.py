"""What is told of what Octo is made of."""

from __future__ import annotations

import importlib.metadata
import json
import re
from email.message import Message

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from deploy.supply.licences import UnknownLicenceError, allowed, licence_of, of_metadata, row
from deploy.supply.locks import IMAGES, REPO, Pin, hashes, in_images, lock_of, pins
from deploy.supply.sbom import VERSION, bill

LOCK = f"""# made
attrs==26.1.0 \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
    # via aiohttp
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:{"c" * 64}
"""


def test_a_lock_is_read_as_the_images_install_it() -> None:
    assert pins(LOCK) == [Pin("attrs", "26.1.0")]
    assert hashes(LOCK, Pin("attrs", "26.1.0")) == ["a" * 64, "b" * 64]
    assert hashes(LOCK, Pin("attrs", "1")) == []


def test_the_page_of_licences_is_that_of_the_locks() -> None:
    lines = (REPO / "docs" / "reference" / "licences.md").read_text().splitlines()
    told = [line for line in lines if line.startswith("| ") and not line.startswith(("| Package", "| ---"))]
    wanted = [row(pin, _licence(pin, told), images) for pin, images in in_images().items()]
    assert told == wanted, "run `make licences`"


def _licence(pin: Pin, told: list[str]) -> str:
    """What the package says; on a Python for which it is not installed, what the page says."""
    try:
        if importlib.metadata.version(pin.name) == pin.version:
            return licence_of(pin)
    except importlib.metadata.PackageNotFoundError:
        pass
    (line,) = (line for line in told if line.startswith(f"| {pin.name} | {pin.version} |"))
    return line.split(" | ")[2]


def test_every_licence_is_allowed() -> None:
    lines = (REPO / "docs" / "reference" / "licences.md").read_text().splitlines()
    found = {line.split(" | ")[0].strip("| "): line.split(" | ")[2] for line in lines if line.startswith("| ")}
    refused = {name: licence for name, licence in list(found.items())[2:] if not allowed(licence)}
    assert not refused
    assert len(found) > 50


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MPL-2.0 AND (Apache-2.0 OR GPL-3.0-only)", True),
        ("Proprietary", False),
    ],
)
def test_allowed(expression: str, verdict: bool) -> None:
    assert allowed(expression) is verdict


@pytest.mark.parametrize(
    ("headers", "licence"),
    [
        ({"License-Expression": "MIT"}, "MIT"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "Copyright\nof somebody", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
    ],
)
def test_what_metadata_says(headers: dict[str, str], licence: str) -> None:
    metadata = Message()
    for name, value in headers.items():
        metadata[name] = value
    assert of_metadata(metadata) == licence


def test_a_package_that_tells_nothing_is_no_guess() -> None:
    metadata = Message()
    metadata["Name"] = "closed"
    with pytest.raises(UnknownLicenceError, match="closed"):
        of_metadata(metadata)


def test_bills_of_materials_are_valid_whole_and_the_same_each_time() -> None:
    for image in IMAGES:
        lock = lock_of(image).read_text()
        text = bill(image, lock)
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        assert bill(image, lock) == text
        made = json.loads(text)
        assert made["metadata"]["component"]["name"] == f"octo-{image}"
        assert {(part["name"], part["version"]) for part in made["components"]} == {
            (pin.name, pin.version) for pin in pins(lock)
        }
        assert all(part["hashes"] and part["licenses"] for part in made["components"])
        assert f'image.version="{VERSION}"' in (REPO / "deploy" / "Dockerfile").read_text()


def test_every_image_runs_as_nobody_in_particular() -> None:
    stages: dict[str, str] = {}
    name = ""
    for line in (REPO / "deploy" / "Dockerfile").read_text().splitlines():
        if match := re.fullmatch(r"FROM \S+ AS (\S+)", line):
            name = match[1]
        elif line.startswith("USER "):
            stages[name] = line
    assert stages == dict.fromkeys(("api", "controller", "worker", "postgres", "demo"), "USER 65532:65532")
