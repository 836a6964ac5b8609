"""``octo-api`` as real processes that are killed and started again within a moment.

A process that has imported all of it forks them, so that a start takes no longer than what the api itself does:

    with mother_of_apis() as mother:
        async with mortal_api(mother, ...) as api:
            api.kill()
            await api.start()
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tests.support.ports import ReservedPort
from tests.support.waiting import until

_PATIENCE = 240.0
_PR_SET_PDEATHSIG = 1


class MortalApi:
    """An api on one port; at most one process of it is there at a time."""

    def __init__(self, mother: subprocess.Popen[bytes], port: int, environment: Mapping[str, str], log: Path) -> None:
        self._mother = mother
        self._environment = dict(environment)
        self._log = log
        self.port = port
        self.pid: int | None = None

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """SIGKILL it, if it is there; may be called at any moment."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        if self.pid is None:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def start(self) -> None:
        """Start a process, when there is none any more, and return when it serves."""

        async def gone() -> bool:
            return not self.alive

        await until(gone, within=_PATIENCE, every=0.005, what="the end of the killed process")
        self.pid = await asyncio.to_thread(self._fork)

        async def serves() -> bool:
            assert self.alive, f"the api has ended: {self._log.read_text()[-3000:]}"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return False
            return True

        await until(serves, within=_PATIENCE, every=0.02, what="the api")

    def _fork(self) -> int:
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        order = {"environment": self._environment, "log": str(self._log)}
        self._mother.stdin.write(json.dumps(order).encode() + b"\n")
        self._mother.stdin.flush()
        return int(self._mother.stdout.readline())


@contextmanager
def mother_of_apis() -> Iterator[subprocess.Popen[bytes]]:
    """The process that has imported the api; those it forked end with it."""
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.support.mortal_api"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as mother:
        try:
            yield mother
        finally:
            mother.kill()


@asynccontextmanager
async def mortal_api(
    mother: subprocess.Popen[bytes], *, database_url: str, kubeconfig: Path, pepper: str, log: Path, **settings: object
) -> AsyncIterator[MortalApi]:
    """One that serves; its last process ends with the block."""
    reserved = ReservedPort()
    environment = {
        "PATH": os.environ["PATH"],
        "OCTO_DATABASE_URL": database_url,
        "OCTO_KUBECONFIG": str(kubeconfig),
        "OCTO_API_KEY_PEPPER": pepper,
        "OCTO_TOKEN_SIGNING_KEY": "s" * 32,
        "OCTO_LISTEN_HOST": "127.0.0.1",
        "OCTO_LISTEN_PORT": str(reserved.number),
        **{f"OCTO_{name.upper()}": str(value) for name, value in settings.items()},
    }
    api = MortalApi(mother, reserved.number, environment, log)
    try:
        await api.start()
        yield api
    finally:
        api.kill()
        reserved.release()


def _mother() -> None:
    """Fork an api for each order that comes in, and say which process it is."""
    import octo_api.__main__

    # Nobody waits for the dead.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            output = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for descriptor, source in ((0, nothing), (1, output), (2, output)):
                os.dup2(source, descriptor)
            os.environ.clear()
            os.environ.update(order["environment"])
            # Not by raising: the loop above is not the child's.
            os._exit(octo_api.__main__.main(["serve"]))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _mother()
