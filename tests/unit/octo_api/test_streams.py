"""A stream comes in the form that Accept names."""

from __future__ import annotations

import json

import pytest

from octo_api.streams import Form, wanted_form, writer
from octo_core.domain.selection import Refetch


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, None),
        ("*/*", None),
        ("application/json", None),
        ("text/event-stream", Form.SSE),
        ("application/json, application/jsonl;q=0.9", Form.JSON_LINES),
        ("Text/Event-Stream; charset=utf-8", Form.SSE),
    ],
)
def test_wanted_form(accept: str | None, form: Form | None) -> None:
    assert wanted_form(accept) is form


def test_one_event_is_one_line_or_one_block() -> None:
    document = Refetch(path="a\nb", id="x")
    line = writer(Form.JSON_LINES)("check", document)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"event": "check", "path": "a\nb", "id": "x"}
    block = writer(Form.SSE)("check", document).decode()
    assert block.startswith("event: check\ndata: {")
    assert block.endswith("}\n\n")
    assert block.count("\n") == 3
