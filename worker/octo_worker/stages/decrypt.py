"""Opens OpenPGP messages with gpg by pipes, in a key ring of the run's own.

gpg gives out plaintext before it knows that a message is whole, so what ``decrypt`` yields must not
become visible until it has ended well.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from octo_core.domain.failure import Category
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.limits import ExpansionMeter

CHUNK = 256 << 10
_MAX_HOME = 85
"""The agent's socket is made in the home, and a socket's path may have 108 bytes."""
# An agent spends 0.3 s on each file to stretch the passphrase of a stored key. The ring lives in memory
# for one run, so the least stretching is right: 0.02 s. It must be set before the key is imported.
_AGENT_CONF = "s2k-count 1024\nmax-cache-ttl 0\nallow-loopback-pinentry\n"
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
_FLAGS = ("--batch", "--no-tty", "--quiet", "--no-options", "--pinentry-mode", "loopback")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """A private GNUPGHOME with the run's key in it."""

    home: Path
    passphrase: bytes

    async def decrypt(self, stream: AsyncIterator[bytes], meter: ExpansionMeter) -> AsyncGenerator[bytes]:
        """The plaintext. Ends well only if gpg did and says that the message is whole and was protected."""
        # --skip-verify: a signature by a key that is not here must not fail the file.
        arguments = ("--skip-verify", "--no-auto-key-retrieve", "--decrypt")
        async with _gpg(self.home, self.passphrase, *arguments) as child:
            feeding = asyncio.ensure_future(child.feed(stream))
            try:
                while chunk := await child.output.read(CHUNK):
                    meter.add(len(chunk))
                    yield chunk
                await feeding
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            code, status = await child.result()
        _judge(code, status)


@asynccontextmanager
async def key_ring(memory_dir: Path, secrets: Secrets) -> AsyncIterator[KeyRing]:
    """A key ring with the key of the run's secrets, or with none for symmetric messages; gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="g", dir=memory_dir))  # mode 0700
    passphrase = secrets.line("openpgp", "passphrase") or ""
    try:
        if len(os.fsencode(home)) > _MAX_HOME:
            raise Failed(Category.CONFIG, f"the path of the memory folder is too long for gpg: {home}")
        (home / "gpg-agent.conf").write_text(_AGENT_CONF)
        ring = KeyRing(home, passphrase.encode())
        key = secrets.read("openpgp", "privateKey")
        if key is not None:
            await _import(ring, key)
        elif not passphrase:
            raise Failed(Category.CONFIG, "decrypt.openpgp has neither a private key nor a passphrase")
        yield ring
    finally:
        await _quiet("gpgconf", "--homedir", str(home), "--kill", "all")
        shutil.rmtree(home, ignore_errors=True)


async def _import(ring: KeyRing, key: bytes) -> None:
    async def once() -> AsyncGenerator[bytes]:
        yield key

    async with _gpg(ring.home, ring.passphrase, "--import") as child:
        feeding = asyncio.ensure_future(child.feed(once()))
        while await child.output.read(CHUNK):
            pass
        await feeding
        code, status = await child.result()
    if code != 0 or not any(line[:1] == ["IMPORT_OK"] for line in status):
        raise Failed(Category.DECRYPT, "the OpenPGP private key cannot be imported; check key and passphrase")


def _judge(code: int, status: list[list[str]]) -> None:
    """Success is return code 0, DECRYPTION_OKAY, and integrity that was checked: nothing less."""
    words = {line[0]: line[1:] for line in status if line}
    aead = words.get("DECRYPTION_INFO", [])[2:3] not in ([], ["0"])
    if code == 0 and "DECRYPTION_OKAY" in words and ("GOODMDC" in words or aead) and "DECRYPTION_FAILED" not in words:
        return
    if "BADMDC" in words:
        raise Failed(Category.INTEGRITY, "OpenPGP: the message was altered (bad modification detection code)")
    info = words.get("DECRYPTION_INFO")
    if info is not None and info[:1] == ["0"] and not aead:
        raise Failed(Category.INTEGRITY, "OpenPGP: the message has no integrity protection, and is refused")
    if info is not None and words.get("DECRYPTION_OKAY") is None:
        raise Failed(Category.INTEGRITY, "OpenPGP: the message is damaged or cut short")
    if "NO_SECKEY" in words and "DECRYPTION_KEY" not in words:
        keys = ", ".join(sorted({line[1] for line in status if line[0] == "NO_SECKEY" and len(line) > 1}))
        raise Failed(Category.DECRYPT, f"OpenPGP: the message is encrypted to a key that is not here ({keys[:200]})")
    if "BAD_PASSPHRASE" in words or "MISSING_PASSPHRASE" in words:
        raise Failed(Category.DECRYPT, "OpenPGP: the passphrase is wrong or missing")
    if "NODATA" in words:
        raise Failed(Category.DECRYPT, "OpenPGP: the file is not an OpenPGP message")
    raise Failed(Category.DECRYPT, f"OpenPGP: gpg could not decrypt the message (exit code {code})")


class _Child:
    """A running gpg: its output, its status lines, and what feeds it."""

    def __init__(self, process: asyncio.subprocess.Process, output: asyncio.StreamReader, status: int) -> None:
        self.process = process
        self.output = output
        self._status = asyncio.ensure_future(_lines(status))

    async def feed(self, stream: AsyncIterator[bytes]) -> None:
        """Write the stream to gpg. If the stream fails, gpg is ended so that nobody takes its output for whole."""
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - made with a pipe
        try:
            async for chunk in stream:
                stdin.write(chunk)
                await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            # gpg gave up on the message; read the rest all the same, as the download is still to be verified.
            async for _ in stream:
                pass
        except BaseException:
            self.kill()
            raise
        finally:
            stdin.close()
            with suppress(BrokenPipeError, ConnectionResetError):
                await stdin.wait_closed()

    async def result(self) -> tuple[int, list[list[str]]]:
        """Exit code and status lines, once gpg has ended."""
        status = await self._status
        return await self.process.wait(), status

    def kill(self) -> None:
        """End gpg and all it started, now."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Leave nothing behind, however the caller got here."""
        self.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        # Before wait(), which asyncio may not let return while a pipe has unread data.
        while await self.output.read(CHUNK):
            pass
        await self.process.wait()
        await asyncio.gather(self._status, return_exceptions=True)


@asynccontextmanager
async def _gpg(home: Path, passphrase: bytes, *arguments: str) -> AsyncIterator[_Child]:
    status_read, status_write = os.pipe()
    secret_read, secret_write = os.pipe()
    try:
        # A passphrase is far shorter than a pipe's buffer, so this never blocks.
        os.write(secret_write, passphrase[:4096] + b"\n")
        os.close(secret_write)
        process = await asyncio.create_subprocess_exec(
            "gpg",
            *_FLAGS,
            *("--homedir", str(home), "--status-fd", str(status_write), "--passphrase-fd", str(secret_read)),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # all we act on comes by the status lines
            pass_fds=(status_write, secret_read),
            start_new_session=True,
            env=_ENVIRONMENT,
            limit=2 * CHUNK,
        )
    except FileNotFoundError:
        os.close(status_read)
        raise Failed(Category.CONFIG, "gpg is not installed in the worker's image") from None
    except BaseException:
        os.close(status_read)
        raise
    finally:
        os.close(status_write)
        os.close(secret_read)
    assert process.stdout is not None  # noqa: S101 - made with a pipe
    child = _Child(process, process.stdout, status_read)
    try:
        yield child
    finally:
        await child.close()


async def _lines(descriptor: int) -> list[list[str]]:
    """The status lines of gpg, split into words. Takes the descriptor over."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    lines: list[list[str]] = []
    try:
        while raw := await reader.readline():
            words = raw.decode("utf-8", "replace").split()
            # One message has a dozen; PROGRESS lines of a huge one must not pile up.
            if words[:1] == ["[GNUPG:]"] and len(words) > 1 and words[1] != "PROGRESS" and len(lines) < 1000:
                lines.append(words[1:])
    finally:
        transport.close()
    return lines


async def _quiet(*command: str) -> None:
    """Run a clean-up command to its end, whatever comes of it."""
    with suppress(OSError, TimeoutError):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
        )
        async with asyncio.timeout(5):
            await process.wait()
