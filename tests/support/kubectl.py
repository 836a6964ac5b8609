"""kubectl, as a person would use it, and ports forwarded from the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
KUBECONFIG = ROOT / ".octo" / "kubeconfig"
T = TypeVar("T")


class KubectlError(AssertionError):
    """kubectl said no; the message is what it printed."""


def environment(kubeconfig: Path = KUBECONFIG) -> dict[str, str]:
    """The environment in which kubectl and helm find the cluster under test."""
    path = f"{ROOT / '.octo' / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path}


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl in one namespace."""

    namespace: str
    kubeconfig: Path = KUBECONFIG

    def __call__(self, *args: str, stdin: str | None = None, timeout: float = 300) -> str:
        """Run; returns what it printed. Raises KubectlError with what it complained of."""
        done = subprocess.run(
            ["kubectl", "--namespace", self.namespace, *args],
            env=environment(self.kubeconfig),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *args: str) -> Any:
        """Run with ``-o json`` and parse."""
        return json.loads(self(*args, "-o", "json"))

    def apply(self, *objects: dict[str, Any], dry_run: bool = False) -> str:
        """Apply objects; with ``dry_run`` the API server only checks them."""
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self("apply", "-f", "-", *(["--dry-run=server"] if dry_run else []), stdin=body)

    def create(self, obj: dict[str, Any]) -> Any:
        """Create one object; returns it as stored."""
        return json.loads(self("create", "-f", "-", "-o", "json", stdin=json.dumps(obj)))

    def exists(self, *args: str) -> bool:
        """Whether ``get`` finds anything."""
        return bool(self("get", *args, "--ignore-not-found", "-o", "name").strip())


def eventually(probe: Callable[[], T], *, within: float = 240, every: float = 0.5, what: str = "") -> T:
    """Call ``probe`` until it returns something true; fail with its last answer after ``within`` seconds.

    An AssertionError of the probe counts as 'not yet'.
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            answer = probe()
            if answer:
                return answer
            last = answer
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'condition'} not met within {within:.0f} s; last seen: {last}")
        time.sleep(every)
