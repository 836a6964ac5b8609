"""Marks every test by the folder it lives in, so that ``-m unit`` and the folders never disagree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.support.control_plane",
    "tests.support.pgp",
    "tests.support.postgres",
    "tests.support.s3",
    "tests.support.sftp",
    # After those that it imports, so that their assertions are rewritten.
    "tests.support.installation",
]

# How long an example takes says more about the machine than about the code. The same examples each time, so that a
# change is judged by itself; `--hypothesis-profile=long` looks for new ones.
settings.register_profile("octo", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("octo")

TIERS = ("unit", "integration", "cluster", "images", "upgrade", "e2e", "chaos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        tier = item.path.relative_to(root).parts[0]
        if tier in TIERS:
            item.add_marker(getattr(pytest.mark, tier))
