"""What a command line imports before it does anything: a start is as quick as what it leaves out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from octo_cli.main import COMMANDS, grammar

HEAVY = frozenset({"httpx", "httpx2", "lightkube", "octo_client", "octo_core", "pydantic", "rich", "yaml"})
PROBE = """
import atexit, sys
atexit.register(lambda: print(*sorted(name for name, module in sys.modules.items() if module), file=sys.stderr))
from octo_cli.main import octo
octo()
"""
COMPLETE = {"_OCTO_COMPLETE": "zsh_complete"}


def loaded(home: Path, *arguments: str, more: Mapping[str, str] | None = None) -> tuple[str, set[str]]:
    """What a command line of its own process says, and which modules it has at its end."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(home), **(more or {})},
    )
    return done.stdout, set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--version",), "octo 0.1.0"), (("--help",), "Run a provider once."), (("completion", "bash"), "_OCTO_COMPLETE")],
    ids=["version", "help", "completion"],
)
def test_what_needs_no_server_imports_no_library(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    said, modules = loaded(tmp_path, *arguments)
    assert words in said
    assert not HEAVY & modules


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_no_library(name: str, tmp_path: Path) -> None:
    said, modules = loaded(tmp_path, name, "--help")
    assert "Usage:" in said
    assert not HEAVY & modules


@pytest.mark.parametrize(
    ("words", "position", "completed"),
    [("octo ", 1, "schedules"), ("octo ru", 1, "run"), ("octo ls --", 2, "--provider"), ("octo ls -s ", 3, "queued")],
    ids=["commands", "a command", "options", "values"],
)
def test_a_shell_that_completes_imports_no_library(words: str, position: int, completed: str, tmp_path: Path) -> None:
    said, modules = loaded(tmp_path, more={**COMPLETE, "COMP_WORDS": words, "COMP_CWORD": str(position)})
    assert completed in said.splitlines()
    assert not HEAVY & modules


def test_the_list_of_commands_imports_none_of_them(tmp_path: Path) -> None:
    for arguments, more in ((["--help"], {}), ([], {**COMPLETE, "COMP_WORDS": "octo ", "COMP_CWORD": "1"})):
        said, modules = loaded(tmp_path, *arguments, more=more)
        assert "completion" in said
        assert not [module for module in modules if module.startswith("octo_cli.commands")]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    command = grammar.get_command(click.Context(grammar), name)
    assert command is not None
    assert COMMANDS[name].says == command.get_short_help_str(limit=200)


def test_each_way_imports_only_its_own_library(tmp_path: Path) -> None:
    rest = loaded(tmp_path, "--server", "http://127.0.0.1:9", "--api-key-file", str(tmp_path / "none"), "ls")[1]
    assert "httpx" in rest
    assert "httpx._main" not in rest
    assert not {"lightkube", "httpx2"} & rest
    kube = loaded(tmp_path, "--kubeconfig", str(tmp_path / "none"), "ls")[1]
    assert "lightkube" in kube
    assert "httpx" not in kube
