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
    # A page whose files come from elsewhere (see FILES) would not be let to an identity provider on loopback.
    "--disable-features=LocalNetworkAccessChecks",
)
FILES = "**/console/**"
"""What a page of the console is made of. The driver fetches it for the browser in tests, as it is: Chromium gives up
the connections that it is about to make (ERR_NETWORK_CHANGED) whenever a network interface of the machine comes or
goes, as with each pod of a cluster on it, and a page that lacks one of its modules stays blank until it is loaded anew.
"""


def chromium() -> str:
    """Where it is; the test fails where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.fail("no Chromium: run `make browser`, or install Debian's package chromium-headless-shell")
    return found
