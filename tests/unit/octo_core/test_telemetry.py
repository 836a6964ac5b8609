"""Log lines are JSON and carry the ids at hand."""

from __future__ import annotations

import json
import logging

import pytest

from octo_core.telemetry import configure_logging, log_context


def test_lines_carry_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        configure_logging("INFO", service="octo-test")
        with log_context(job="oj-1"), log_context(attempt="2"):
            logging.getLogger("octo").info("line\nbreak", extra={"files": 3})
        logging.getLogger("octo").info("after")
    finally:
        logging.getLogger().handlers = before
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["message"] == "line\nbreak"
    assert (first["job"], first["attempt"], first["files"]) == ("oj-1", "2", 3)
    assert (first["level"], first["service"]) == ("INFO", "octo-test")
    assert "job" not in second
