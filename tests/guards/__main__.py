"""``make guards``: takes out each guard, sees its tests fail, and writes docs/guards.md if all of them did.

``--only TEXT`` takes those whose words or file have TEXT in them, and writes nothing; ``--model`` runs the model check
instead of the named tests, and says which guards it notices.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

# What takes longest to import, for all of the processes at once.
import hypothesis.stateful  # noqa: F401 - imported for the processes that are forked
import kopf  # noqa: F401 - the same
import pytest

import octo_core.crd.resources
import octo_core.db.mirrors
import octo_core.kube.client  # noqa: F401 - the same
import tests.conftest
from tests.guards.guard import PACKAGE, ROOT, TESTS, Guard
from tests.guards.page import page
from tests.guards.table import GUARDS

PAGE = ROOT / "docs" / "guards.md"
MODEL = f"{TESTS}/reconcile/test_properties.py"
SOME_FAILED, BROKEN = 1, 99
SECONDS = 900
"""Without a guard a test may wait for ever; the alarm ends its process, which counts as not noticed."""
OPTIONS = ("-q", "-rf", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


def begin(guard: Guard, nodes: Sequence[str], folder: Path) -> int:
    """Start the tests without the guard, in a process that has what is imported here; its number."""
    guard.take_out(folder)
    pid = os.fork()
    if pid:
        return pid
    code = BROKEN
    signal.alarm(SECONDS)
    try:
        with (folder / "said").open("w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        sys.path.insert(0, str(folder))
        code = int(pytest.main([*OPTIONS, "--rootdir", str(ROOT), *nodes]))
    except BaseException:  # noqa: BLE001 - whatever it is, this process goes no further than here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def unnoticed(code: int, said: str, nodes: Sequence[str]) -> list[str]:
    """Which of the tests did not fail; all of them if they could not be run."""
    if code != SOME_FAILED:
        return list(nodes)
    failed = [line.removeprefix("FAILED ") for line in said.splitlines() if line.startswith("FAILED ")]
    return [node for node in nodes if not any(line.startswith(node) for line in failed)]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(only: str, workers: int, *, model: bool) -> int:
    """The exit code: 1 if a guard can be taken out without a test that notices."""
    guards = [guard for guard in GUARDS if only in f"{guard.says} {guard.file}"]
    waiting, bad = list(guards), 0
    running: dict[int, tuple[Guard, Sequence[str], Path]] = {}
    for plugin in tests.conftest.pytest_plugins:
        importlib.import_module(plugin)
    assert PACKAGE not in sys.modules, "each of the processes imports its own"
    with tempfile.TemporaryDirectory(prefix="octo-guards-") as top:
        while waiting or running:
            if waiting and len(running) < workers:
                guard = waiting.pop(0)
                nodes: Sequence[str] = (MODEL,) if model else guard.nodes
                folder = Path(top, str(len(waiting)))
                folder.mkdir()
                running[begin(guard, nodes, folder)] = (guard, nodes, folder)
                continue
            pid, status = os.wait()
            guard, nodes, folder = running.pop(pid)
            said = (folder / "said").read_text(encoding="utf-8")
            missing = unnoticed(os.waitstatus_to_exitcode(status), said, nodes)
            shutil.rmtree(folder)
            bad += bool(missing)
            _say(f"{'UNNOTICED' if missing else 'noticed  '} {guard.invariant:2}. {guard.says} ({guard.file})")
            for node in missing:
                _say(f"          did not fail: {node}\n{said[-300:]}")
    _say(f"{len(guards)} guards, {bad} unnoticed")
    if not bad and not only and not model:
        PAGE.write_text(page(GUARDS), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", action="store_true")
    given = parser.parse_args()
    sys.exit(main(given.only, given.workers, model=given.model))
