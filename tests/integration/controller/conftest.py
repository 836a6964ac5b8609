"""A namespace with a database, in which controllers run as processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from octo_core.settings import DatabaseSettings
from tests.support.control_plane import ControlPlane
from tests.support.controllers import Site, site


@pytest.fixture
def place(bare_control_plane: ControlPlane, database_settings: DatabaseSettings, tmp_path: Path) -> Iterator[Site]:
    """The namespace; its controllers end with the test."""
    url = database_settings.database_url.get_secret_value()
    with site(bare_control_plane, url, tmp_path) as made:
        yield made
