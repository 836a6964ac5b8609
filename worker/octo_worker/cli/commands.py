"""Runs the commands. The composition root of the command line: clock, ids, streams and signals come in here."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import NoReturn

from octo_core.domain.failure import EXIT_CODES, RESOLUTIONS, Category
from octo_core.domain.provider import OctoProviderSpec, OpenPgpMode
from octo_core.domain.report import Outcome
from octo_core.domain.run import Run
from octo_core.telemetry import configure_logging
from octo_worker import history, outcome, probe
from octo_worker.cli.arguments import PROG, parser
from octo_worker.cli.display import Display, JsonLines, Lines
from octo_worker.cli.document import read_provider
from octo_worker.cli.local import local_run
from octo_worker.cli.memory import memory_dir
from octo_worker.cli.output import Output
from octo_worker.cli.planning import PlanJson, PlanTable
from octo_worker.cli.secrets import Mounted, expected, mounted
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.hardening import forbid_dumps
from octo_worker.probe import StepState
from octo_worker.run import Attempt
from octo_worker.settings import WorkerSettings
from octo_worker.sinks.s3 import S3Sink
from octo_worker.stopping import stoppable
from octo_worker.tuning import tune

CANCELLED = EXIT_CODES[Category.CANCELLED]


def main(arguments: Sequence[str]) -> NoReturn:
    """Run a command and end the process with its exit code."""
    forbid_dumps()
    tune()
    args = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # until the event loop takes the signals over
    try:
        code = _command(args)
    except KeyboardInterrupt:
        code = CANCELLED
    logging.shutdown()
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    # As in a pod: not sys.exit, whose tearing down the store's threads may turn into an abort.
    os._exit(code)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _command(args: argparse.Namespace) -> int:
    if args.command == "history":
        return _history(args)
    configure_logging("INFO" if args.verbose else "ERROR", service=PROG)
    out = Output(sys.stdout)
    try:
        provider = read_provider(args.provider, args.name)
        run = local_run(provider, args, now=_now(), uid=str(uuid.uuid4()))
        with_openpgp = not run.selection.dry_run and _uses_openpgp(provider.spec)
        # Before the secrets: what is wrong with the machine is said first.
        memory = memory_dir(args.memory_dir) if with_openpgp else None
        folder = args.secrets or args.provider.parent / "secrets"
        with mounted(expected(provider.spec, openpgp=with_openpgp), folder) as secrets:
            for warning in secrets.warnings:
                _complain(f"warning: {warning}")
            settings = _settings(secrets, memory)
            if args.command == "verify":
                return asyncio.run(_verified(run, settings, secrets, out, as_json=args.json))
            secrets.check()
            return asyncio.run(_ran(run, settings, _display(args, run, out), verbose=args.verbose))
    except Failed as error:
        if args.json:
            _tell(out, outcome.failed(error, Outcome(reason="").progress))
        for line in error.detail.splitlines():
            _complain(line)
        return EXIT_CODES[error.category]


def _uses_openpgp(spec: OctoProviderSpec) -> bool:
    """Whether files are decrypted, or their signatures checked."""
    if spec.decrypt is None:
        return False
    return spec.decrypt.openpgp.mode is not OpenPgpMode.NEVER or spec.decrypt.openpgp.require_signature


def _settings(secrets: Mounted, memory: Path | None) -> WorkerSettings:
    """What a pod's mounts would be. Where no key is unwrapped the memory folder is not used."""
    return WorkerSettings(run_secrets_dir=secrets.folder, memory_dir=memory or secrets.folder / "none")


def _display(args: argparse.Namespace, run: Run, out: Output) -> Display:
    clock = time.monotonic
    if run.selection.dry_run:
        return PlanJson(out, clock, 60) if args.json else PlanTable(out, clock, 60)
    if args.json:
        return JsonLines(out, clock, args.progress_seconds)
    if sys.stdout.isatty():
        from octo_worker.cli import bars  # rich is slow to import, and of use only here

        if (console := bars.terminal()) is not None:
            return bars.Bars(console, clock)
    return Lines(out, clock, args.progress_seconds)


# ---- run and plan -----------------------------------------------------------------------------------


async def _ran(run: Run, settings: WorkerSettings, display: Display, *, verbose: bool) -> int:
    ticking = asyncio.create_task(_ticks(display))
    with _log_notes(display.note) if not verbose else _as_it_is():
        try:
            attempt = Attempt(run, settings, _now, display)
            ended = await stoppable(attempt.run(), lambda: display.note("stopping: nothing half-done is left"))
        finally:
            ticking.cancel()
    display.finished(ended)
    return outcome.exit_code(ended)


async def _ticks(display: Display) -> None:
    while True:
        await asyncio.sleep(display.seconds)
        display.tick()


class _Notes(logging.Handler):
    """Warnings of the worker, for people. That a file failed is shown already."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "file failed":
            return
        details = [str(getattr(record, name)) for name in ("path", "why") if hasattr(record, name)]
        self._note(": ".join([f"{record.levelname.lower()}: {record.getMessage()}", *details]))
        if record.exc_info:
            self._note(logging.Formatter().formatException(record.exc_info))


@contextmanager
def _log_notes(note: Callable[[str], None]) -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    root.handlers = [_Notes(note)]
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


# ---- verify -----------------------------------------------------------------------------------------


async def _verified(run: Run, settings: WorkerSettings, secrets: Mounted, out: Output, *, as_json: bool) -> int:
    try:
        return await stoppable(_steps(run, settings, secrets, out, as_json=as_json))
    except asyncio.CancelledError:
        _complain("stopped")
        return CANCELLED


async def _steps(run: Run, settings: WorkerSettings, secrets: Mounted, out: Output, *, as_json: bool) -> int:
    code = 0
    async with aclosing(probe.verify(run, settings, _now(), token_hex(8), secrets.problems)) as steps:
        async for step in steps:
            if as_json:
                out.event("step", step.as_json())
            else:
                out.lines(probe_lines(step))
            if step.category is not None and not code:
                code = EXIT_CODES[step.category]
    return code


def probe_lines(step: probe.StepResult) -> list[str]:
    """A step for people."""
    word = "FAILED" if step.state is StepState.FAILED else step.state.value
    first, *more = step.message.splitlines() or [""]
    indent = " " * 26
    lines = [f"{word:8} {step.name:16} {first}", *(f"{indent}{line}" for line in more)]
    if step.resolution:
        lines.append(f"{indent}{step.resolution}")
    return lines


# ---- history ----------------------------------------------------------------------------------------


def _history(args: argparse.Namespace) -> int:
    configure_logging("ERROR", service=PROG)
    out = Output(sys.stdout)
    try:
        provider = read_provider(args.provider, args.name)
        if provider.spec.destination is None:
            raise Failed(Category.CONFIG, "the provider has no destination, so no manifests")
        to = provider.spec.destination.s3
        wanted = [one for one in expected(provider.spec, openpgp=False) if one.group == "s3"]
        with mounted(wanted, args.secrets or args.provider.parent / "secrets") as secrets:
            for warning in secrets.warnings:
                _complain(f"warning: {warning}")
            secrets.check()
            with S3Sink(to, Secrets(secrets.folder)) as sink:
                for line in history.lines(sink, to.bucket, to.prefix, provider.name):
                    fields = line.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"event"})
                    out.event(line.event, fields)
    except Failed as error:
        for text in error.detail.splitlines():
            _complain(text)
        return EXIT_CODES[error.category]
    return 0


# ---- streams ----------------------------------------------------------------------------------------


def _tell(out: Output, ended: Outcome) -> None:
    fields = ended.model_dump(mode="json", by_alias=True, exclude_none=True)
    if ended.category is not None:
        fields["resolution"] = RESOLUTIONS[ended.category]
    out.event("outcome", {**fields, "exitCode": outcome.exit_code(ended)})


def _complain(text: str) -> None:
    Output(sys.stderr).line(f"{PROG}: {text}")


def _now() -> datetime:
    return datetime.now(UTC)
