"""Checks what a run will need, step by step: secrets, server, host key, login, listing, decryption, bucket.

Nothing is printed here, and nothing is left behind: what the bucket is tried with is deleted again.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import TypeVar

from octo_core.domain.failure import RESOLUTIONS, Category
from octo_core.domain.provider import OpenPgp, OpenPgpMode, S3Destination, SftpSource
from octo_core.domain.run import Run
from octo_worker import layout
from octo_worker.bridge import Stop, pulled
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed, one_line
from octo_worker.globs import matches
from octo_worker.limits import ExpansionMeter
from octo_worker.selection import reason_to_skip
from octo_worker.settings import WorkerSettings
from octo_worker.sinks.s3 import S3Sink
from octo_worker.sources import RemoteFile, Source, Unreadable, source_of
from octo_worker.stages.decrypt import KeyRing, key_ring

LISTED = 1000
"""Files that are looked at; enough to see that listing works."""
PROBED_BYTES = 64 << 20
"""The largest file that is decrypted for a try."""
CONNECT_SECONDS = 20.0
_BANNER_LINES = 20
_KEY_PACKET, _PASSPHRASE_PACKET = 1, 3
# Larger than one part, so that the store is asked for a multipart upload.
_MULTIPART_CHUNK, _MULTIPART_CHUNKS = b"\0" * (1 << 20), 9

T = TypeVar("T")


class StepState(StrEnum):
    """``skipped``: it was not needed, or what it needs has failed."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step saw; if it failed, also what to do."""

    name: str
    state: StepState
    message: str
    category: Category | None = None
    resolution: str = ""

    def as_json(self) -> dict[str, str]:
        """Its fields for a JSON object; empty ones are left out."""
        fields = {
            "name": self.name,
            "state": self.state.value,
            "message": self.message,
            "category": self.category.value if self.category else "",
            "resolution": self.resolution,
        }
        return {name: value for name, value in fields.items() if value}


class _NotNeededError(Exception):
    """Raised by a step that has nothing to do; the text says why."""


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    check: Callable[[], Awaitable[str]]
    needs: tuple[str, ...] = ()


async def verify(
    run: Run,
    settings: WorkerSettings,
    now: datetime,
    token: str,
    problems: Mapping[str, Iterable[str]] | None = None,
) -> AsyncGenerator[StepResult]:
    """Every step's result, as soon as there is one. Steps that need a failed one are skipped.

    ``token`` is random and makes the name of the object that is written. ``problems`` are what the caller
    found with the secrets when it mounted them, by group (``sftp``, ``openpgp``, ``s3``). Close it, or use
    it up: what it opened is closed then.
    """
    async with _Probe(run, settings, now, token, problems or {}).entered() as probe:
        for step in probe.steps():
            yield await probe.result(step)


class _Probe:
    def __init__(
        self, run: Run, settings: WorkerSettings, now: datetime, token: str, problems: Mapping[str, Iterable[str]]
    ) -> None:
        if run.source is None or run.destination is None:
            raise Failed(Category.CONFIG, "the provider is of type container: there is nothing to verify")
        self._run = run
        self._settings = settings
        self._now = now
        self._problems = {group: list(texts) for group, texts in problems.items()}
        self._secrets = Secrets(settings.run_secrets_dir)
        self._sftp: SftpSource = run.source.sftp
        self._s3: S3Destination = run.destination.s3
        self._key = "/".join(filter(None, (self._s3.prefix, f".octo-verify-{token}")))
        self._data = f"octo-worker verify {token}\n".encode()
        self._have: set[str] = set()
        self._stack = AsyncExitStack()
        self._source: Source | None = None
        self._sink: S3Sink | None = None
        self._ring: KeyRing | None = None
        self._login_error: Failed | None = None
        self._candidate: RemoteFile | None = None
        self._written = False

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[_Probe]:
        async with self._stack:
            try:
                yield self
            finally:
                if self._written and self._sink is not None:
                    with suppress(Failed):
                        await _in_thread(self._sink.delete, self._key)

    def steps(self) -> Iterator[_Step]:
        yield _Step("secrets", self._secrets_are_there)
        yield _Step("connect", self._connect)
        yield _Step("hostKey", self._host_key, ("sftp secrets", "connect"))
        yield _Step("login", self._login, ("hostKey",))
        yield _Step("listing", self._listing, ("login",))
        yield _Step("openpgp", self._openpgp, ("openpgp secrets",))
        yield _Step("decrypt", self._decrypt, ("listing", "openpgp"))
        yield _Step("s3List", self._s3_list, ("s3 secrets",))
        yield _Step("s3Put", self._s3_put, ("s3List",))
        yield _Step("s3Read", self._s3_read, ("s3Put",))
        yield _Step("s3Conditional", self._s3_conditional, ("s3Put",))
        yield _Step("s3Multipart", self._s3_multipart, ("s3List",))
        yield _Step("s3Delete", self._s3_delete, ("s3Put",))

    async def result(self, step: _Step) -> StepResult:
        missing = [need for need in step.needs if need not in self._have]
        if missing:
            return StepResult(step.name, StepState.SKIPPED, f"needs {', '.join(missing)}")
        try:
            message = await step.check()
        except _NotNeededError as error:
            return StepResult(step.name, StepState.SKIPPED, str(error))
        except Failed as error:
            failed = error
        except Exception as error:  # noqa: BLE001 - the other steps are worth their results
            failed = Failed(Category.UNKNOWN, f"unexpected {type(error).__name__}: {one_line(error)}")
        else:
            self._have.add(step.name)
            return StepResult(step.name, StepState.OK, message)
        resolution = RESOLUTIONS[failed.category]
        return StepResult(step.name, StepState.FAILED, failed.detail, failed.category, resolution)

    # ---- secrets --------------------------------------------------------------------------------

    async def _secrets_are_there(self) -> str:
        found: dict[str, list[str]] = {"sftp": [], "openpgp": [], "s3": []}
        first: Failed | None = None
        for group, check in (("sftp", self._sftp_parses), ("openpgp", lambda: None), ("s3", self._s3_parses)):
            if not self._problems.get(group):
                try:
                    check()
                except Failed as error:
                    first = first or error
                    self._problems.setdefault(group, []).append(error.detail)
            if not self._problems.get(group):
                self._have.add(f"{group} secrets")
                folder = self._settings.run_secrets_dir / group
                found[group] = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        lines = [text for texts in self._problems.values() for text in texts]
        if lines:
            raise Failed(first.category if first and len(lines) == 1 else Category.CONFIG, "\n".join(lines))
        if not found["s3"]:
            found["s3"] = ["none: the machine's own identity is used"]
        return "; ".join(f"{group}: {', '.join(names)}" for group, names in found.items() if names)

    def _sftp_parses(self) -> None:
        self._source = source_of(self._run, self._secrets)

    def _s3_parses(self) -> None:
        self._sink = S3Sink(self._s3, self._secrets)
        self._stack.callback(self._sink.close)

    # ---- the server -----------------------------------------------------------------------------

    async def _connect(self) -> str:
        host, port = self._sftp.host, self._sftp.port
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise Failed(Category.REMOTE_UNAVAILABLE, f"looking up {host} takes too long; check the DNS") from None
        except OSError as error:
            raise Failed(
                Category.REMOTE_UNAVAILABLE,
                f"there is no address for {host} ({one_line(error)}); check source.sftp.host",
            ) from None
        shown = ", ".join(dict.fromkeys(str(address[4][0]) for address in addresses))
        where = f"{host}:{port} ({shown})"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                banner = await _banner(host, port)
        except TimeoutError:
            raise Failed(
                Category.REMOTE_UNAVAILABLE,
                f"{where} does not answer; check source.sftp.port, and whether a firewall lets this machine through",
            ) from None
        except OSError as error:
            raise Failed(
                Category.REMOTE_UNAVAILABLE, f"{where}: {one_line(error)}; check source.sftp.host and port"
            ) from None
        if banner is None:
            raise Failed(
                Category.REMOTE_UNAVAILABLE, f"what answers at {where} is not an SSH server; check source.sftp.port"
            )
        return f"{where} answers: {banner}"

    async def _host_key(self) -> str:
        """The source connects and logs in at once; which of the two failed is told by the category."""
        assert self._source is not None  # noqa: S101 - with the sftp secrets
        try:
            await self._stack.enter_async_context(self._source.session())
        except Failed as error:
            if error.category is not Category.AUTH:
                raise
            self._login_error = error
        return "the server's key is pinned in source.sftp.hostKeys"

    async def _login(self) -> str:
        if self._login_error is not None:
            raise self._login_error
        return f"logged in as {self._sftp.username}"

    async def _listing(self) -> str:
        assert self._source is not None  # noqa: S101 - with the sftp secrets
        seen = matching = 0
        unreadable: Unreadable | None = None
        listing = self._source.listing()
        try:
            async for file in listing:
                if isinstance(file, Unreadable):
                    if not any(matches(glob, file.below_root) for glob in self._run.selection.exclude):
                        unreadable = unreadable or file
                    continue
                seen += 1
                if reason_to_skip(file, self._run.selection, self._now) is None and file.unusable is None:
                    matching += 1
                    self._consider(file)
                if seen == LISTED:
                    break
        finally:
            if isinstance(listing, AsyncGenerator):
                await listing.aclose()
        if unreadable is not None:
            raise Failed(unreadable.category, f"{unreadable.path}: {unreadable.message}")
        paths = ", ".join(self._run.selection.paths)
        more = " or more" if seen == LISTED else ""
        if seen and not matching:
            return f"{seen}{more} files in {paths}, but none of them matches; check include and exclude"
        return f"{seen}{more} files in {paths}, {matching} of them match"

    def _consider(self, file: RemoteFile) -> None:
        """Keep the smallest file that a run would decrypt."""
        try:
            encrypted = (
                self._openpgp_settings() is not None
                and layout.opening(file.name, self._mode(), self._run.unpack.mode).encrypted
            )
        except layout.NameRefusedError:
            return
        if encrypted and file.stat.size <= PROBED_BYTES:
            best = self._candidate
            if best is None or file.stat.size < best.stat.size:
                self._candidate = file

    # ---- decryption -----------------------------------------------------------------------------

    def _mode(self) -> OpenPgpMode:
        return self._run.decrypt.openpgp.mode if self._run.decrypt else OpenPgpMode.NEVER

    def _openpgp_settings(self) -> OpenPgp | None:
        return self._run.decrypt.openpgp if self._run.decrypt and self._mode() is not OpenPgpMode.NEVER else None

    async def _openpgp(self) -> str:
        settings = self._openpgp_settings()
        if settings is None:
            raise _NotNeededError("the provider decrypts nothing")
        context = key_ring(self._settings.memory_dir, self._secrets, settings)
        self._ring = await _in_thread(context.__enter__)
        self._stack.push_async_callback(_leave, context)
        return "the keys are read"

    async def _decrypt(self) -> str:
        file, ring, source = self._candidate, self._ring, self._source
        if file is None:
            raise _NotNeededError(f"no encrypted file of up to {PROBED_BYTES >> 20} MiB matches")
        assert ring is not None  # noqa: S101 - with the keys
        assert source is not None  # noqa: S101 - with the listing
        stop, loop, read, head = Stop(), asyncio.get_running_loop(), 0, b""

        def counted() -> Iterator[bytes]:
            nonlocal read, head
            with closing(pulled(loop, source.read(file), stop)) as chunks:
                for chunk in chunks:
                    head = head or chunk
                    read += len(chunk)
                    yield chunk

        def opened() -> int:
            meter = ExpansionMeter(file.stat.size, self._run.unpack)
            return sum(len(chunk) for chunk in ring.decrypt(counted(), meter))

        plain = await _in_thread(opened, stop=stop)
        if read != file.stat.size:
            raise Failed(Category.INTEGRITY, f"{file.path}: the server gave {read} bytes of {file.stat.size}")
        return f"{file.path}, encrypted to {', '.join(recipients(head)) or 'nobody'}: {read} bytes become {plain}"

    # ---- the bucket -----------------------------------------------------------------------------

    def _bucket(self) -> S3Sink:
        assert self._sink is not None  # noqa: S101 - with the s3 secrets
        return self._sink

    async def _s3_list(self) -> str:
        sink = self._bucket()
        count = await _in_thread(lambda: sum(1 for _ in islice(sink.objects(self._s3.prefix), LISTED)))
        more = " or more" if count == LISTED else ""
        return f"{count}{more} objects below {self._shown(self._s3.prefix)}"

    async def _s3_put(self) -> str:
        self._written = True  # also if it is cut off here
        if not await _in_thread(lambda: self._bucket().put(self._key, self._data, {}, overwrite=False)):
            raise Failed(Category.SINK_UNAVAILABLE, f"{self._shown(self._key)} was there before it was written")
        return f"{self._shown(self._key)} written"

    async def _s3_read(self) -> str:
        got = await _in_thread(lambda: b"".join(self._bucket().read(self._key)))
        if got != self._data:
            raise Failed(Category.INTEGRITY, f"{self._shown(self._key)} does not hold what was written")
        return "read back, and the same"

    async def _s3_conditional(self) -> str:
        if await _in_thread(lambda: self._bucket().put(self._key, b"another", {}, overwrite=False)):
            raise Failed(
                Category.CONFIG,
                "the store at destination.s3.endpoint ignores If-None-Match, so two runs could overwrite each "
                "other's objects; use a version or product that honours it",
            )
        return "a second write with If-None-Match is refused, as it must be"

    async def _s3_multipart(self) -> str:
        key, sink = f"{self._key}-multipart", self._bucket()

        def attempt() -> bool:
            with sink.writer(
                key, {}, overwrite=False, expected_size=len(_MULTIPART_CHUNK) * _MULTIPART_CHUNKS
            ) as upload:
                for _ in range(_MULTIPART_CHUNKS):
                    upload.write(_MULTIPART_CHUNK)
            return sink.facts(key) is None

        if not await _in_thread(attempt):
            raise Failed(Category.SINK_UNAVAILABLE, f"{self._shown(key)} is visible, although its upload was aborted")
        return "a multipart upload can be begun and aborted"

    async def _s3_delete(self) -> str:
        try:
            await _in_thread(lambda: self._bucket().delete(self._key))
        except Failed as error:
            self._written = False
            raise Failed(
                error.category, f"{error.detail}; {self._shown(self._key)} stays: delete it, or allow s3:DeleteObject"
            ) from error
        self._written = False
        return "deleted again"

    def _shown(self, key: str) -> str:
        return f"s3://{self._s3.bucket}/{key}"


def recipients(head: bytes) -> list[str]:
    """Whom an OpenPGP message is encrypted to, by its first bytes: ids of keys, or a passphrase."""
    if head.startswith(b"-----BEGIN PGP MESSAGE"):
        armored = head.replace(b"\r\n", b"\n").partition(b"\n\n")[2].partition(b"\n-----")[0].partition(b"\n=")[0]
        text = b"".join(armored.split())
        try:
            head = base64.b64decode(text[: len(text) // 4 * 4])
        except ValueError:
            return []
    found, at = [], 0
    while (packet := _packet(head, at)) is not None:
        tag, start, at = packet
        body = head[start:at]
        if tag == _PASSPHRASE_PACKET:
            found.append("a passphrase")
        elif tag != _KEY_PACKET:
            break
        elif body[:1] == b"\x03" and len(body) > 9:
            found.append(f"key {body[1:9].hex().upper()}" if any(body[1:9]) else "a key that is not named")
    return found


def _packet(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The packet at an offset: its tag, and where its body begins and ends; None if it is cut, or of unknown length."""
    if at + 6 > len(data) or not data[at] & 0x80:
        return None
    first, length = data[at], data[at + 1]
    if not first & 0x40:
        size = 1 << (first & 3)
        if size == 8:
            return None
        tag, start = first >> 2 & 15, at + 1 + size
        length = int.from_bytes(data[at + 1 : start], "big")
    elif length < 192:
        tag, start = first & 63, at + 2
    elif length < 224:
        tag, start, length = first & 63, at + 3, (length - 192 << 8) + data[at + 2] + 192
    elif length == 255:
        tag, start, length = first & 63, at + 6, int.from_bytes(data[at + 2 : at + 6], "big")
    else:
        return None
    return (tag, start, start + length) if start + length <= len(data) else None


async def _banner(host: str, port: int) -> str | None:
    """The line by which an SSH server introduces itself; it may say other lines before."""
    reader, writer = await asyncio.open_connection(host, port, limit=4096)
    try:
        for _ in range(_BANNER_LINES):
            line = await reader.readline()
            if line.startswith(b"SSH-"):
                return line.decode("ascii", "backslashreplace").strip()
            if not line:
                return None
    except ValueError:  # a line that is too long
        return None
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return None


async def _leave(context: AbstractContextManager[object]) -> None:
    await _in_thread(lambda: context.__exit__(None, None, None))


async def _in_thread(call: Callable[..., T], *args: object, stop: Stop | None = None) -> T:
    """Run what blocks in a thread. When cancelled, it is told to stop, and waited for: nothing goes on unseen."""
    future = asyncio.get_running_loop().run_in_executor(None, call, *args)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        with suppress(Exception):
            await future
        raise
