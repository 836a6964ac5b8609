"""``kubectl octo logs -f`` on a cluster, with a kubeconfig alone: over cuts of its connection and over attempts."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.support.kubectl import KUBECONFIG, environment, eventually
from tests.support.release import Release, image_tag
from tests.support.tcp_faults import Fault, How, TcpProxy, proxied

PARTS, LINES = 3, 20
# Says its parts one by one, each when a file of its number is there. The first attempt fails as if a server were away.
SCRIPT = f"""
attempt=$(sed 's/.*"attempt": *\\([0-9]*\\).*/\\1/' /run/octo/run/run.json)
for part in $(seq {PARTS}); do
  until [ -e /tmp/$part ]; do sleep 0.2; done
  for line in $(seq {LINES}); do echo "attempt $attempt, part $part, line $line"; done
done
[ "$attempt" -gt 1 ] || exit 20
"""


def said(attempt: int, parts: int = PARTS) -> list[str]:
    """What an attempt has said when so many of its parts are over."""
    return [
        f"attempt {attempt}, part {part}, line {line}" for part in range(1, parts + 1) for line in range(1, LINES + 1)
    ]


@dataclass(frozen=True)
class Follower:
    """A command line that goes on, and what it has shown."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def lines(self) -> list[str]:
        return self.out.read_text().splitlines()

    def shows(self, wanted: list[str]) -> None:
        """Wait until it has shown these lines and no others."""

        def shown() -> bool:
            found = self.lines()
            if self.process.poll() is not None or found != wanted[: len(found)]:
                raise RuntimeError(f"{self.process.poll()}: {found} {self.err.read_text()}")
            return len(found) == len(wanted)

        eventually(shown, what=f"{len(wanted)} lines")

    def ends(self, wanted: list[str]) -> None:
        """Wait for its end, with these lines and in order."""
        code = self.process.wait(240)
        assert (code, self.lines()) == (0, wanted), self.err.read_text()


@contextmanager
def follower(kubeconfig: Path, folder: Path, *arguments: str) -> Iterator[Follower]:
    """``kubectl octo`` with these arguments, in a process of its own."""
    name = secrets.token_hex(3)
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", "from octo_cli.main import kubectl_octo; kubectl_octo()", *arguments],
            stdout=stdout,
            stderr=stderr,
            env={**environment(kubeconfig), "PYTHONUNBUFFERED": "1", "XDG_CONFIG_HOME": str(folder)},
        )
    try:
        yield Follower(process, out, err)
    finally:
        process.kill()
        process.wait()


@contextmanager
def weak_line(folder: Path) -> Iterator[tuple[Path, TcpProxy]]:
    """A kubeconfig whose way to the API server can be cut."""
    config = yaml.safe_load(KUBECONFIG.read_text())
    named = next(each["context"]["cluster"] for each in config["contexts"] if each["name"] == config["current-context"])
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == named)
    server = urlsplit(cluster["server"])
    with proxied(server.port or 443, str(server.hostname)) as proxy:
        cluster["server"] = f"https://127.0.0.1:{proxy.port}"
        # The certificate of a cluster need not name loopback.
        for name in ("certificate-authority", "certificate-authority-data"):
            cluster.pop(name, None)
        cluster["insecure-skip-tls-verify"] = True
        file = folder / "weak-kubeconfig"
        file.write_text(yaml.safe_dump(config))
        yield file, proxy


def lets_speak(octo: Release, job: str, attempt: int, part: int) -> None:
    """Have an attempt say a part, once its pod runs."""

    def opened() -> bool:
        selector = f"octo.dev/job-name={job},octo.dev/attempt={attempt}"
        pods = octo.kubectl.json("get", "pods", "-l", selector)["items"]
        assert [pod["status"]["phase"] for pod in pods] == ["Running"]
        octo.kubectl("exec", pods[0]["metadata"]["name"], "--", "touch", f"/tmp/{part}")
        return True

    eventually(opened, what=f"attempt {attempt} to run")


@pytest.fixture
def provider(octo: Release) -> str:
    name = f"talk-{secrets.token_hex(3)}"
    octo.kubectl.apply(
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoProvider",
            "metadata": {"name": name},
            "spec": {
                "container": {"image": f"octo/demo:{image_tag()}", "command": ["sh", "-c", SCRIPT]},
                "jobDefaults": {"retryPolicy": {"maxAttempts": 2, "backoffSeconds": 5}},
            },
        }
    )
    return name


def test_a_log_is_followed_over_cuts_and_attempts(octo: Release, provider: str, tmp_path: Path) -> None:
    here = ("-n", octo.kubectl.namespace)
    with ExitStack() as stack:
        kubeconfig, proxy = stack.enter_context(weak_line(tmp_path))
        whole = stack.enter_context(follower(kubeconfig, tmp_path, *here, "run", provider, "--follow"))

        def made() -> str:
            assert whole.process.poll() is None, whole.err.read_text()
            runs = octo.kubectl.json("get", "octojobs", "-l", f"octo.dev/provider={provider}")["items"]
            return str(runs[0]["metadata"]["name"]) if runs else ""

        job = eventually(made, what="the run")
        lets_speak(octo, job, 1, 1)
        whole.shows(said(1, 1))
        # One of the first attempt alone, and one that waits for the second before there is any.
        first = stack.enter_context(follower(KUBECONFIG, tmp_path, *here, "logs", job, "--follow"))
        second = stack.enter_context(follower(KUBECONFIG, tmp_path, *here, "logs", job, "-f", "--attempt", "2"))
        first.shows(said(1, 1))

        proxy.cut(How.RESET)
        lets_speak(octo, job, 1, 2)
        whole.shows(said(1, 2))
        # The next connection breaks too, before anything has come of it.
        proxy.break_next(Fault(after=0))
        proxy.cut(How.CLOSE)
        lets_speak(octo, job, 1, 3)
        whole.shows(said(1))
        # Its pod ends; the next that is asked of the API server, whatever it is, is cut off.
        first.ends(said(1))
        assert second.lines() == []
        proxy.break_next(Fault(after=0), Fault(after=0))
        proxy.cut(How.RESET)

        lets_speak(octo, job, 2, 1)
        whole.shows([*said(1), *said(2, 1)])
        second.shows(said(2, 1))
        proxy.cut(How.RESET)
        lets_speak(octo, job, 2, 2)
        lets_speak(octo, job, 2, 3)
        whole.ends([*said(1), *said(2)])
        second.ends(said(2))
    octo.wait_state(job, "Succeeded")

    # What is asked for when all is over comes from the pods, as long as they are there.
    for arguments, wanted in (
        ((), said(2)),
        (("--follow",), said(2)),
        (("--attempt", "1"), said(1)),
        (("--attempt", "1", "--follow", "--tail", "3"), said(1)[-3:]),
    ):
        with follower(KUBECONFIG, tmp_path, *here, "logs", job, *arguments) as late:
            late.ends(wanted)
