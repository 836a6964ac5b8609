"""The controller with a clock that a test may step: the file OCTO_TEST_CLOCK has the seconds by which it is off."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from octo_controller import app
from octo_controller.__main__ import main


def stepped() -> datetime:
    """The wall clock's time, off by what the file says."""
    off = 0.0
    with suppress(OSError, ValueError):
        off = float(Path(os.environ["OCTO_TEST_CLOCK"]).read_text())
    return datetime.now(UTC) + timedelta(seconds=off)


if __name__ == "__main__":
    app._now = stepped
    main()
