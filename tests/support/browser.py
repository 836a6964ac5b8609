"""Chromium without a window, which the console is looked at with."""

from __future__ import annotations

import shutil

import pytest

_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def chromium() -> str:
    """Where it is; the test fails where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.fail("no Chromium: run `make browser`, or install Debian's package chromium-headless-shell")
    return found
