"""What the worker's children and libraries see of programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest

from octo_worker.programs import environment, hidden_programs


@pytest.mark.parametrize("path", ["/usr/bin:/bin", None])
def test_children_find_programs_while_libraries_do_not(monkeypatch: pytest.MonkeyPatch, path: str | None) -> None:
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)
    before = environment()
    assert before == {"PATH": path or os.defpath, "LC_ALL": "C.UTF-8"}
    with suppress(KeyError), hidden_programs():
        assert shutil.which("sh") is None
        assert environment() == before
        raise KeyError
    assert os.environ.get("PATH") == path
    assert environment() == before


LOADING = """
import os, sys
started = []
sys.addaudithook(lambda event, given: started.append(given[0]) if event == "subprocess.Popen" else None)
import octo_worker.sources.sftp
found = [name for name in started if os.path.basename(str(name)) not in ("ldconfig", "ld")]
assert not found, found
assert os.environ["PATH"] == sys.argv[1]
"""


def test_loading_the_ssh_library_runs_no_compiler() -> None:
    path = os.environ.get("PATH", os.defpath)
    command = [sys.executable, "-c", LOADING, path]
    subprocess.run(command, check=True, env={**os.environ, "PATH": path}, timeout=240)
