"""What people copy passes no secret as an argument or in the environment, where other processes can read it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documents import ROOT

COPIED = [
    *(ROOT / "README.md", ROOT / "charts" / "octo" / "templates" / "NOTES.txt", ROOT / "deploy" / "demo" / "up.py"),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SHOWN = re.compile(
    r"""
    -H \s* ["']? (?: X-API-Key | Authorization ) :            # a header among curl's arguments
    | --header [ =] ["']? (?: X-API-Key | Authorization ) :
    | \b export \s+ (?: \w+=\S+ \s+ )* \w* (?: KEY | TOKEN | PASSWORD | SECRET ) \w* =
    | --(?: api-key | token | password ) [ =] (?! FILE )
    | \$ \{? \w* API_KEY \b
    """,
    re.VERBOSE | re.IGNORECASE,
)


@pytest.mark.parametrize("path", COPIED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_secret_is_shown_to_other_processes(path: Path) -> None:
    assert SHOWN.findall(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        'curl -H "X-API-Key: $API_KEY" http://127.0.0.1:8080/v1/jobs',
        "curl --header 'Authorization: Bearer x' http://127.0.0.1:8080/v1/jobs",
        'export PATH=/usr/bin OCTO_API_KEY="$(cat key)"',
        "octo login https://octo.example.com --api-key octo_abc",
        "printf %s $API_KEY",
    ],
)
def test_that_would_be_noticed(line: str) -> None:
    assert SHOWN.search(line)
