"""The command line, called in this process as its entry points call it."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from octo_cli.main import execute


@dataclass(frozen=True, slots=True)
class Done:
    """How a command line ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The words of each line of a table below its head."""
        return [line.split() for line in self.out.splitlines()[1:]]


class Cli:
    """``octo`` or ``kubectl octo`` with a home of its own."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, *first: str, plugin: bool = False) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
        monkeypatch.setenv("OCTO_DEBUG", "1")
        self._monkeypatch = monkeypatch
        self._first = first
        self._plugin = plugin

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command line; ``first`` goes before its arguments."""
        out, err = io.StringIO(), io.StringIO()
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with redirect_stdout(out), redirect_stderr(err):
            code = execute([*self._first, *arguments], program="octo", plugin=self._plugin)
        return Done(int(code), out.getvalue(), err.getvalue())

    async def call(self, *arguments: str, stdin: str = "") -> Done:
        """The same beside a running event loop."""
        return await asyncio.to_thread(self.__call__, *arguments, stdin=stdin)
