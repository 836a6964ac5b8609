"""The commands that docs/operations.md gives for each disaster, and what Postgres says of runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from octo_core.db.session import Database
from octo_core.db.tables import JobRow
from octo_core.settings import DatabaseSettings

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
Rows = Callable[[], Awaitable[dict[str, dict[str, Any]]]]


def commands(section: str) -> str:
    """The commands under a heading of the page."""
    assert PAGE.count("```bash\n") == 2, "a block that no test here runs"
    found = re.search(rf"^### {section}\n.*?^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/operations.md has no commands under {section!r}"
    return found[1]


def run(script: str, *, folder: Path, **settings: object) -> str:
    """What a script printed; ``settings`` are ``OCTO_…``."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **{f"OCTO_{name.upper()}": str(value) for name, value in settings.items()},
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def url_of(settings: DatabaseSettings) -> str:
    """Where a database is."""
    return settings.database_url.get_secret_value()


@pytest.fixture
def rows(database: Database) -> Rows:
    """The columns of every row of ``jobs``, by uid."""

    async def read() -> dict[str, dict[str, Any]]:
        async with database.transaction() as session:
            found = await session.execute(select(JobRow.__table__))
            return {row["uid"]: dict(row) for row in found.mappings()}

    return read
