"""Where things are, and how the demo runs other programs and speaks."""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]
STATE = REPO / ".octo"
KUBECONFIG = STATE / "kubeconfig"

Object = dict[str, Any]


class DemoError(Exception):
    """Something that the user has to know or to do; the text says what."""


def say(text: str) -> None:
    """A line of progress, like those of the scripts beside this."""
    print(f"[octo] {text}", file=sys.stderr, flush=True)  # noqa: T201 - a command line tool


def show(text: str = "") -> None:
    """A line of the demo's result."""
    print(text, flush=True)  # noqa: T201 - a command line tool


def check_tools(*names: str) -> None:
    """Each of these programs has to be there, and a cluster that answers."""
    missing = [name for name in names if not shutil.which(name, path=_environment()["PATH"])]
    if missing:
        raise DemoError(f"missing on PATH: {', '.join(missing)}; `make demo` gets them on Debian")
    if not KUBECONFIG.exists():
        raise DemoError("no cluster: run `make cluster` first, or `make demo`, which does")
    if not succeeds("kubectl", "get", "--raw=/readyz", "--request-timeout=10s"):
        raise DemoError("the cluster of .octo/kubeconfig does not answer: run `make cluster`")


def run(*command: str | Path, stdin: bytes | None = None, timeout: float = 120) -> str:
    """Run a program to its end and return what it printed; its complaints become a DemoError."""
    try:
        done = subprocess.run(  # noqa: S603 - programs named in this package
            [str(part) for part in command],
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env=_environment(),
            cwd=REPO,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{_brief(command)}: no end after {timeout:.0f} s") from error
    if done.returncode != 0:
        complaint = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise DemoError(f"{_brief(command)} failed: {complaint[-2000:]}")
    return done.stdout.decode()


def succeeds(*command: str | Path) -> bool:
    """Whether a program ends well."""
    try:
        run(*command)
    except DemoError:
        return False
    return True


def apply(*objects: Object) -> None:
    """Make or change objects; they go by stdin, so no secret is in an argument."""
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    run(
        *("kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=octo-demo", "--filename=-"),
        stdin=document.encode(),
    )


@contextmanager
def port_forward(namespace: str, service: str, port: int, *, timeout: float = 30) -> Iterator[int]:
    """A local port that reaches a Service, for the length of the block."""
    process = subprocess.Popen(  # noqa: S603
        ["kubectl", "--namespace", namespace, "port-forward", f"service/{service}", f":{port}"],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    try:
        yield _forwarded_port(process, service, timeout)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _forwarded_port(process: subprocess.Popen[bytes], service: str, timeout: float) -> int:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    deadline = time.monotonic() + timeout
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            more = os.read(process.stdout.fileno(), 4096)
            if not more:
                break
            said += more
            if found := re.search(rb"Forwarding from 127\.0\.0\.1:(\d+) ", said):
                return int(found[1])
    raise DemoError(f"kubectl port-forward to service {service} did not come up within {timeout:.0f} s")


def _environment() -> dict[str, str]:
    path = f"{STATE / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, "KUBECONFIG": str(KUBECONFIG)}


def _brief(command: tuple[str | Path, ...]) -> str:
    return " ".join(str(part) for part in command[:4])
