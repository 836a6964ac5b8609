"""Nothing that clients of the last release go by is taken away."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RELEASED = ROOT / "api" / "openapi" / "released.json"
CURRENT = ROOT / "api" / "openapi" / "openapi.json"


def broken(now: Path) -> str:
    """What oasdiff finds that breaks a client of the release; empty if nothing does."""
    oasdiff = ROOT / ".octo" / "bin" / "oasdiff"
    assert oasdiff.exists(), "oasdiff is missing: run `make tools`"
    command = [str(oasdiff), "breaking", "--fail-on", "ERR", str(RELEASED), str(now)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout + done.stderr if done.returncode else ""


def test_the_api_as_it_is_keeps_the_release() -> None:
    assert broken(CURRENT) == ""


def _require_more(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["JobRequest"]["required"].append("priority")


def _answer_less(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Provider"]
    del schema["properties"]["labels"]
    schema["required"].remove("labels")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda document: document["paths"].pop("/v1/providers/{name}"), id="a path goes"),
        pytest.param(_require_more, id="a field is asked for that was not"),
        pytest.param(_answer_less, id="a field is missing in an answer"),
    ],
)
def test_what_breaks_is_found(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(RELEASED.read_text())
    change(document)
    changed = tmp_path / "openapi.json"
    changed.write_text(json.dumps(document))
    assert broken(changed) != ""
