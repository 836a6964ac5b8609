"""The grammar: every command is there, and says what it does; wrong words end with 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from octo_cli.commands.shared import CATEGORIES, FILE_OUTCOMES, STATES
from octo_cli.exits import MEANINGS, Exit, exit_of_state
from octo_cli.main import COMMANDS, grammar
from octo_cli.settings import Settings
from octo_client import models
from tests.support.cli import Cli


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))
    else:
        yield path, command


ALL = dict(walk(grammar))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_says_what_it_does(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith("."), parameter.name


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_options_do_not_collide(path: tuple[str, ...]) -> None:
    names = [name for parameter in ALL[path].params for name in (*parameter.opts, *parameter.secondary_opts)]
    assert len(names) == len(set(names))


def test_its_words_are_those_of_the_api() -> None:
    assert tuple(models.State) == STATES
    assert tuple(models.Category) == CATEGORIES
    assert tuple(models.FileOutcome) == FILE_OUTCOMES


def test_each_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)
    assert [exit_of_state(state) for state in ("Succeeded", "Failed", "Cancelled")] == [0, 1, 6]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dance",), "No such command"),
        (("ls", "--state", "Sleeping"), "Sleeping"),
        (("ls", "-o", "xml"), "xml"),
        (("ls", "--since", "yesterday"), "neither a time"),
        (("run",), "PROVIDER"),
        (("run", "x", "--timeout", "soon"), "not a duration"),
        (("--kubeconfig", "/not/there", "ls"), "no usable kubeconfig"),
        (("login", "octo.example.com"), "not the address"),
        (("login", "http://octo.example.com"), "no API key"),
        (("--server", "http://127.0.0.1:9", "--api-key-file", "/not/there", "ls"), "cannot be read"),
        (("--server", "http://127.0.0.1:9", "run", "x", "-p", "novalue"), "KEY=VALUE"),
    ],
)
def test_wrong_words_end_with_2(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Cli(tmp_path, monkeypatch)(*arguments)
    assert done.code == Exit.USAGE, done
    assert words in done.err
    assert done.out == ""


def test_who_is_not_signed_in_is_told_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = Cli(tmp_path, monkeypatch)("ls")
    assert done.code == Exit.REFUSED
    assert "octo login URL" in done.err


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octo_client.requests.Retries.wait_before", lambda *_: 0.0)
    done = Cli(tmp_path, monkeypatch)("--server", "http://127.0.0.1:9", "ls")
    assert done.code == Exit.UNAVAILABLE
    assert "http://127.0.0.1:9 does not answer" in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = Cli(tmp_path, monkeypatch)("completion", shell)
    assert done.code == 0
    assert "_OCTO_COMPLETE" in done.out


def test_options_stand_before_or_after_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Settings] = []
    command = ALL[("ls",)]
    monkeypatch.setenv("OCTO_NAMESPACE", "of-the-environment")
    monkeypatch.setattr(command, "callback", click.make_pass_decorator(Settings)(lambda found, **_: seen.append(found)))
    cli = Cli(tmp_path, monkeypatch)
    cli("-n", "a", "-o", "json", "ls")
    cli("ls", "-n", "a", "-o", "json")
    cli("-n", "b", "-o", "yaml", "ls", "-n", "a", "-o", "json")
    assert [(found.namespace, found.output) for found in seen] == [("a", "json")] * 3
    cli("ls")
    assert seen[-1].namespace == "of-the-environment"


def test_both_programs_start() -> None:
    for program in ("octo", "kubectl-octo"):
        done = subprocess.run(
            [Path(sys.executable).with_name(program), "--version"], capture_output=True, text=True, check=True
        )
        assert done.stdout == "octo 0.1.0\n"


def test_the_commands_are_those_of_the_table() -> None:
    assert {path[0] for path in ALL} == set(COMMANDS)
