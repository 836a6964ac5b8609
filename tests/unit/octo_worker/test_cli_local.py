"""The run document that a command line comes to, and the grammar's own page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from octo_core.domain.failure import EXIT_CODES, Category
from octo_core.domain.provider import OctoProviderSpec
from octo_core.domain.run import Run
from octo_core.domain.selection import OverwritePolicy, SelectionPolicy
from octo_worker.cli.arguments import parser
from octo_worker.cli.document import ProviderDocument
from octo_worker.cli.local import local_run
from octo_worker.cli.reference import page
from octo_worker.failure import Failed

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SPEC: dict[str, Any] = {
    "source": {
        "sftp": {
            "host": "sftp.example.com",
            "username": "octo",
            "paths": ["out"],
            "include": ["*.gpg"],
            "credentialsSecretRef": {"name": "bank-sftp"},
            "hostKeys": ["sftp.example.com ssh-ed25519 AAAA"],
        }
    },
    "destination": {"s3": {"bucket": "landing"}},
    "jobDefaults": {"transfer": {"parallelism": 8, "concurrentFiles": 2, "onFileError": "SkipFile"}},
}


def run_of(*arguments: str, command: str = "run", **changes: Any) -> Run:
    args = parser().parse_args([command, "--provider", "p.yaml", *arguments])
    spec = OctoProviderSpec.model_validate(SPEC | changes)
    return local_run(ProviderDocument("bank", spec), args, now=NOW, uid="uid-1")


def test_without_options_it_is_the_providers_run_in_one_process() -> None:
    run = run_of()
    assert (run.job.namespace, run.job.name, run.job.attempt) == ("local", "bank-20260102t030405z", 1)
    assert (run.job.uid, run.job.provider, run.report_url) == ("uid-1", "bank", None)
    assert run.selection.include == ("*.gpg",)
    assert (run.transfer.parallelism, run.transfer.concurrent_files) == (1, 2), "all shards are done here"
    assert run.transfer.on_file_error == "SkipFile"
    assert not run.selection.dry_run


def test_options_go_before_the_provider() -> None:
    run = run_of(
        *("--job", "tuesday", "--policy", "ChangedOrNew", "--path", "in", "--path", "more", "--include", "*.csv"),
        *("--exclude", "old/**", "--max-files", "3", "--overwrite", "Always", "--concurrent-files", "16"),
        *("--on-file-error", "FailJob", "--dry-run"),
    )
    assert run.job.name == "tuesday"
    selection, transfer = run.selection, run.transfer
    assert (selection.policy, selection.paths) == (SelectionPolicy.CHANGED_OR_NEW, ("in", "more"))
    assert (selection.include, selection.exclude, selection.max_files) == (("*.csv",), ("old/**",), 3)
    assert (transfer.overwrite, transfer.concurrent_files) == (OverwritePolicy.ALWAYS, 16)
    assert transfer.on_file_error == "FailJob"
    assert selection.dry_run


def test_named_files_are_explicit() -> None:
    selection = run_of("--file", "out/a.csv", "--file", "out/b.csv").selection
    assert (selection.policy, selection.files) == (SelectionPolicy.EXPLICIT, ("out/a.csv", "out/b.csv"))


def test_plan_is_a_dry_run_and_verify_takes_the_provider_as_it_is() -> None:
    assert run_of(command="plan").selection.dry_run
    assert run_of(command="verify").selection.policy is SelectionPolicy.NEW_ONLY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--file", "a", "--policy", "All"), "--file and --policy exclude each other"),
        (("--job", "Tuesday!"), "--job: "),
        (("--job", "../x"), "--job: "),
        (("--concurrent-files", "65"), "--concurrent-files: Input should be less than or equal to 64"),
        (("--include", ""), "--include: String should have at least 1 character"),
    ],
)
def test_what_does_not_fit_is_told_by_its_option(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(Failed) as caught:
        run_of(*arguments)
    assert caught.value.category is Category.CONFIG
    assert caught.value.detail.startswith(message)


def test_a_provider_of_type_container_is_not_for_this() -> None:
    with pytest.raises(Failed, match="of type container"):
        run_of(source=None, destination=None, container={"image": "x"})


@pytest.mark.parametrize("arguments", [("--max-files", "0"), ("--policy", "Explicit"), ("--progress-seconds", "x")])
def test_what_is_no_command_line(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["run", "--provider", "p.yaml", *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_reference_page_is_what_the_grammar_says() -> None:
    file = Path(__file__).parents[3] / "docs" / "reference" / "worker-cli.md"
    assert page() == file.read_text(), "run `make crds`"


def test_the_reference_page_has_every_exit_code() -> None:
    for category, code in EXIT_CODES.items():
        assert f"| {code} | {category} |" in page()
