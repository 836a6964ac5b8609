"""A node for a bare control plane: takes every pod of a namespace and runs its container as a process of this machine.

    python -m tests.support.node --kubeconfig FILE --namespace octo --folder /tmp/x

What a kubelet does that a job controller can tell: it binds pods, tells that they run and how they end, gives them
their grace when they are deleted, and then lets them go. It can be killed at any moment: the processes go on, as those
of a real kubelet do, and the next one takes them up by what lies in ``folder``. There is no isolation and no image: the
container's command is run as it is. Its environment has the container's own, the path TERMINATION_LOG, and of Octo's
run document RUN_NAME, RUN_UID, RUN_ATTEMPT and each parameter as P_<name>.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from octo_core.domain.errors import OctoError
from octo_core.domain.names import ANNOTATION_RUN
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import PODS, Resource

Raw = dict[str, Any]
NODE = "process-node"
MARK = "OCTO_TEST_POD"
EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The folder of one pod's process: who it is, how it ended, and what it said last."""

    folder: Path

    @property
    def started(self) -> bool:
        """Whether its process was ever started."""
        return (self.folder / "pid").exists()

    def start(self, pod: Raw) -> None:
        """Start the container's command, in a session of its own that outlives this process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        container = pod["spec"]["containers"][0]
        environment = {
            "PATH": os.environ["PATH"],
            MARK: pod["metadata"]["uid"],
            "TERMINATION_LOG": str(self.folder / "message"),
            **{entry["name"]: entry.get("value", "") for entry in container.get("env", ())},
        }
        annotation = pod["metadata"].get("annotations", {}).get(ANNOTATION_RUN)
        if annotation:
            run = json.loads(annotation)
            environment |= {f"P_{key}": value for key, value in run["parameters"].items()}
            environment |= {"RUN_NAME": run["job"]["name"], "RUN_UID": run["job"]["uid"]}
            environment |= {"RUN_ATTEMPT": str(run["job"]["attempt"])}
        # The shell tells how the command ended; killed with it, it tells nothing.
        command = ["sh", "-c", '"$@"; echo $? > "$0.new" && mv "$0.new" "$0"', str(self.folder / "exit")]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *container.get("command", ()), *container.get("args", ())],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / "pid.new").write_text(f"{process.pid} {_born(process.pid)}")
        (self.folder / "pid.new").rename(self.folder / "pid")

    def pid(self) -> int | None:
        """Of the process, if it still runs."""
        with suppress(OSError, ValueError):
            pid, born = map(int, (self.folder / "pid").read_text().split())
            # Another process may have the number by now.
            if _born(pid) == born:
                return pid
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send the process and its children a signal, if it still runs."""
        pid = self.pid()
        if pid is not None:
            (self.folder / "signal").write_text(str(int(number)))
            with suppress(ProcessLookupError):
                os.killpg(pid, number)

    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        if self.pid() is not None:
            return None
        with suppress(OSError, ValueError):
            return int((self.folder / "exit").read_text())
        with suppress(OSError, ValueError):
            return 128 + int((self.folder / "signal").read_text())
        return 137

    def message(self) -> str:
        """Its last words."""
        with suppress(OSError):
            return (self.folder / "message").read_text()
        return ""


class Node:
    """Looks at all pods again and again, so that nothing it missed while it was away matters."""

    def __init__(self, client: KubeClient, *, namespace: str, folder: Path) -> None:
        self._client = client
        self._namespace = namespace
        self._folder = folder
        self._asked: dict[str, float] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            with suppress(OctoError):
                page = await self._client.list_page(PODS, self._namespace)
                # Those it cannot be told of any more were deleted by force.
                known = {pod["metadata"]["uid"] for pod in page["items"]}
                for entry in self._folder.iterdir() if self._folder.exists() else ():
                    if entry.name not in known:
                        Sandbox(entry).signal(signal.SIGKILL)
                await asyncio.gather(*(self._visit(pod) for pod in page["items"]))
            _reap()
            await asyncio.sleep(EVERY_SECONDS)

    async def _visit(self, pod: Raw) -> None:
        with suppress(OctoError):
            await self._bring_on(pod)

    async def _bring_on(self, pod: Raw) -> None:
        meta = pod["metadata"]
        box = Sandbox(self._folder / meta["uid"])
        over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if "nodeName" not in pod["spec"]:
            if not meta.get("deletionTimestamp"):
                await self._bind(meta)
            return
        if meta.get("deletionTimestamp"):
            if box.pid() is not None:
                self._stop(meta, box)
                return
            if not over:
                await self._tell(pod, box)
            await self._client.delete(PODS, self._namespace, meta["name"], uid=meta["uid"], grace_period_seconds=0)
            return
        if over:
            return
        if not box.started:
            box.start(pod)
        await self._tell(pod, box)

    def _stop(self, meta: Raw, box: Sandbox) -> None:
        first = self._asked.setdefault(meta["uid"], time.monotonic())
        late = time.monotonic() - first > meta.get("deletionGracePeriodSeconds", 30)
        box.signal(signal.SIGKILL if late else signal.SIGTERM)

    async def _bind(self, meta: Raw) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]}, "target": target}
        await self._client.create(_binding_of(meta["name"]), self._namespace, body)

    async def _tell(self, pod: Raw, box: Sandbox) -> None:
        code = box.exit_code() if box.started else 137
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if code is None:
            phase = "Running"
            state: Raw = {"running": {"startedAt": now}}
        else:
            phase = "Succeeded" if code == 0 else "Failed"
            said: Raw = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": box.message()}
            state = {"terminated": {**said, "startedAt": now, "finishedAt": now}}
        if pod.get("status", {}).get("phase") == phase:
            return
        ready = "True" if code is None else "False"
        status = {
            "phase": phase,
            "startTime": pod.get("status", {}).get("startTime", now),
            "conditions": [
                {"type": kind, "status": ready, "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")
            ],
            "containerStatuses": [
                {
                    "name": pod["spec"]["containers"][0]["name"],
                    "image": pod["spec"]["containers"][0]["image"],
                    "imageID": "",
                    "ready": code is None,
                    "restartCount": 0,
                    "state": state,
                }
            ],
        }
        meta = pod["metadata"]
        body = {"metadata": {"uid": meta["uid"]}, "status": status}
        await self._client.patch(PODS, self._namespace, meta["name"], body, subresource="status")


def _born(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None if it is over."""
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state == "Z" else int(fields[18])
    return None


def _reap() -> None:
    """Let the processes that ended go."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _binding_of(pod: str) -> Resource:
    return Resource("", "v1", f"{PODS.plural}/{pod}/binding", "Binding")


async def _main(kubeconfig: str, namespace: str, folder: Path) -> None:
    async with await KubeClient.connect(kubeconfig, timeout=10) as client:
        await Node(client, namespace=namespace, folder=folder).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    given = parser.parse_args()
    asyncio.run(_main(given.kubeconfig, given.namespace, given.folder))
