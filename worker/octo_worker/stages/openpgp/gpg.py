"""Runs one gpg: its pipes, its status lines, and its end however the caller gets there."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.programs import environment
from octo_worker.stages.openpgp.verdict import Line, status_line

CHUNK = 256 << 10
PIPE_SIZE = 1 << 20
_MAX_LINES = 1000
"""One message has a dozen. A hostile one must not fill the memory with them."""
_FLAGS = (
    *("--batch", "--no-tty", "--quiet", "--no-options", "--pinentry-mode", "loopback"),
    # No look-up in the network, ever. Trust is decided by fingerprint in ``verdict``, not by a trust database.
    *("--no-auto-key-retrieve", "--disable-dirmngr", "--trust-model", "always"),
)


class Counts(Protocol):
    """Counts bytes that were given out, and raises when they are too many."""

    def add(self, count: int) -> None:
        """Count."""


class Gpg:
    """A running gpg. ``status`` holds the lines read so far.

    All its pipes are served in the caller's thread: what the source of its input raises reaches the caller at once,
    nothing has to be joined, and gpg works in parallel all the same, as far as the pipes hold.
    """

    def __init__(self, process: subprocess.Popen[bytes], status_pipe: int) -> None:
        self.process = process
        self.status: list[Line] = []
        self.status_pipe = status_pipe
        self._rest = b""
        self._listening = True
        """Whether gpg still takes input."""
        self._open = {status_pipe} if process.stdout is None else {status_pipe, process.stdout.fileno()}
        self._poll = select.poll()
        for descriptor in self._open:
            self._poll.register(descriptor, select.POLLIN)

    def through(self, chunks: Iterator[bytes], meter: Counts) -> Generator[bytes]:
        """Feeds gpg and gives what it puts out, until both are at their end. If gpg gives up, ``chunks`` is read to its
        end all the same: the download is still to be verified, and its verdict comes first."""
        held: list[bytes] = []
        held_bytes = 0
        for data in self._output(chunks):
            meter.add(len(data))
            held.append(data)
            held_bytes += len(data)
            if held_bytes >= CHUNK:
                yield b"".join(held)
                held, held_bytes = [], 0
        if held:
            yield b"".join(held)

    def _output(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield from self._exchange(chunk)
        yield from self._exchange(None)

    def beside(self, chunks: Iterator[bytes]) -> Generator[bytes]:
        """Feeds gpg and gives the same chunks on. For a gpg that puts nothing out."""
        for chunk in chunks:
            for _ in self._exchange(chunk):
                pass
            yield chunk
        for _ in self._exchange(None):
            pass

    def _exchange(self, chunk: bytes | None) -> Iterator[bytes]:
        """Writes a chunk, or ends the input and waits for the end of the output; gives what gpg puts out meanwhile."""
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - made with a pipe
        pending = memoryview(chunk or b"")
        if chunk is None:
            self._listening = False
            with suppress(BrokenPipeError):
                stdin.close()
        elif self._listening and pending:
            os.set_blocking(stdin.fileno(), False)
            self._poll.register(stdin, select.POLLOUT)
        while (pending and self._listening) or (chunk is None and self._open):
            for descriptor, _ in self._poll.poll():
                if descriptor not in self._open:
                    pending = self._write(pending)
                elif not (data := os.read(descriptor, CHUNK)):
                    self._poll.unregister(descriptor)
                    self._open.discard(descriptor)
                elif descriptor == self.status_pipe:
                    self._note(data)
                else:
                    yield data

    def _write(self, pending: memoryview) -> memoryview:
        """Write what gpg takes; gives the rest."""
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - made with a pipe
        try:
            pending = pending[os.write(stdin.fileno(), pending) :]
        except BlockingIOError:
            return pending
        except BrokenPipeError:
            self._listening = False
        if not pending or not self._listening:
            self._poll.unregister(stdin)
        return pending

    def _note(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4096:]
        self.status += [line for raw in lines[:_MAX_LINES] if (line := status_line(raw)) is not None]
        del self.status[_MAX_LINES:]

    def close(self) -> None:
        """Leave nothing behind, however the caller got here."""
        end(self.process)
        os.close(self.status_pipe)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a child that still runs, with all it started, and reap it."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    process.wait()


@contextmanager
def gpg(home: Path, passphrase: bytes | None, *arguments: str, output: bool = True) -> Iterator[Gpg]:
    """A gpg on the ring in ``home``, ended when the block is left. The passphrase goes by a pipe."""
    child = start(home, passphrase, *arguments, output=output)
    try:
        yield child
    finally:
        child.close()


def start(home: Path, passphrase: bytes | None, *arguments: str, output: bool = True) -> Gpg:
    """Start a gpg; the caller closes it. Without ``output``, what it puts out is lost."""
    inherited, kept = [], []
    try:
        status_read, status_write = os.pipe()
        kept.append(status_read)
        inherited.append(status_write)
        secret: tuple[str, ...] = ()
        if passphrase is not None:
            secret_read, secret_write = os.pipe()
            inherited.append(secret_read)
            # At most MAX_PASSPHRASE bytes, far less than the smallest pipe, so this never blocks.
            with os.fdopen(secret_write, "wb") as pipe:
                pipe.write(passphrase + b"\n")
            secret = ("--passphrase-fd", str(secret_read))
        process = subprocess.Popen(  # noqa: S603 - no shell, and only our own words
            ["gpg", *_FLAGS, "--homedir", str(home), *_both(status_write), *secret, *arguments],  # noqa: S607
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if output else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=inherited,
            start_new_session=True,
            env=environment(),
            bufsize=0,
        )
    except FileNotFoundError:
        os.close(kept[0])
        raise Failed(Category.CONFIG, "gpg is not installed here") from None
    except OSError as error:
        for descriptor in kept:
            os.close(descriptor)
        raise Failed(Category.INFRA, f"gpg cannot be started: {error.strerror}") from error
    finally:
        for descriptor in inherited:
            os.close(descriptor)
    for stream in (process.stdin, process.stdout):
        if output and stream is not None:
            _enlarge(stream.fileno())
    return Gpg(process, status_read)


def _both(pipe: int) -> tuple[str, ...]:
    """Status and log in one pipe, so that each line of the log stands with the message that it is about."""
    return ("--status-fd", str(pipe), "--logger-fd", str(pipe))


def _enlarge(pipe: int) -> None:
    """A longer pipe lets gpg work while we do something else; the system may refuse it, and that is no harm."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
