"""Checks what a run will need, step by step: secrets, server, host key, login, listing, decryption, bucket.

Nothing is printed here, and nothing is left behind: what the bucket is tried with is deleted again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    suppress,
)
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from octo_core.domain.failure import RESOLUTIONS, Category
from octo_core.domain.provider import OpenPgp, OpenPgpMode, S3Destination, SftpSource
from octo_core.domain.run import Run
from octo_worker import layout
from octo_worker.bridge import Stop, pulled
from octo_worker.bucket_probe import BucketProbe
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed, one_line
from octo_worker.globs import matches
from octo_worker.limits import ExpansionMeter
from octo_worker.selection import reason_to_skip
from octo_worker.settings import WorkerSettings
from octo_worker.signatures import SIGNATURES, detached_signature
from octo_worker.sinks.s3 import S3Sink
from octo_worker.sources import RemoteFile, Source, Unreadable, source_of
from octo_worker.stages.decrypt import KeyRing, key_ring
from octo_worker.stages.openpgp.recipients import recipients

LISTED = 1000
"""Files that are looked at; enough to see that listing works."""
PROBED_BYTES = 64 << 20
"""The largest file that is decrypted for a try."""
CONNECT_SECONDS = 20.0
_BANNER_LINES = 20

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
        self._token = token
        self._have: set[str] = set()
        self._stack = AsyncExitStack()
        self._source: Source | None = None
        self._bucket: BucketProbe | None = None
        self._ring: KeyRing | None = None
        self._login_error: Failed | None = None
        self._encrypted: RemoteFile | None = None
        """The smallest file that a run would decrypt."""
        self._plain: RemoteFile | None = None
        """The smallest that it would take as it is."""
        self._signed_beside = False

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[_Probe]:
        async with self._stack:
            try:
                yield self
            finally:
                if self._bucket is not None:
                    await _in_thread(self._bucket.clear)

    def steps(self) -> Iterator[_Step]:
        yield _Step("secrets", self._secrets_are_there)
        yield _Step("connect", self._connect)
        yield _Step("hostKey", self._host_key, ("sftp secrets", "connect"))
        yield _Step("login", self._login, ("hostKey",))
        yield _Step("listing", self._listing, ("login",))
        yield _Step("openpgp", self._openpgp, ("openpgp secrets",))
        yield _Step("signature", self._signature, ("listing", "openpgp"))
        yield _Step("decrypt", self._decrypt, ("listing", "openpgp"))
        yield _Step("s3List", self._on_bucket(BucketProbe.list), ("s3 secrets",))
        yield _Step("s3Put", self._on_bucket(BucketProbe.put), ("s3List",))
        yield _Step("s3Read", self._on_bucket(BucketProbe.read), ("s3Put",))
        yield _Step("s3Conditional", self._on_bucket(BucketProbe.conditional), ("s3Put",))
        yield _Step("s3Multipart", self._on_bucket(BucketProbe.multipart), ("s3List",))
        yield _Step("s3Delete", self._on_bucket(BucketProbe.delete), ("s3Put",))

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
        sink = S3Sink(self._s3, self._secrets)
        self._stack.callback(sink.close)
        self._bucket = BucketProbe(sink, self._s3, self._token)

    def _on_bucket(self, step: Callable[[BucketProbe], str]) -> Callable[[], Awaitable[str]]:
        async def check() -> str:
            assert self._bucket is not None  # noqa: S101 - with the s3 secrets
            return await _in_thread(step, self._bucket)

        return check

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
        seen: list[RemoteFile] = []
        unreadable: Unreadable | None = None
        listing = self._source.listing()
        try:
            async for file in listing:
                if isinstance(file, Unreadable):
                    if not any(matches(glob, file.below_root) for glob in self._run.selection.exclude):
                        unreadable = unreadable or file
                    continue
                seen.append(file)
                if len(seen) == LISTED:
                    break
        finally:
            if isinstance(listing, AsyncGenerator):
                await listing.aclose()
        if unreadable is not None:
            raise Failed(unreadable.category, f"{unreadable.path}: {unreadable.message}")
        matching = self._matching(seen)
        for file in matching:
            self._consider(file)
        paths, count = ", ".join(self._run.selection.paths), len(seen)
        more = " or more" if count == LISTED else ""
        if seen and not matching:
            return f"{count}{more} files in {paths}, but none of them matches; check include and exclude"
        return f"{count}{more} files in {paths}, {len(matching)} of them match"

    def _matching(self, seen: list[RemoteFile]) -> list[RemoteFile]:
        """Those that a run would take. What ends in .asc beside the file that it would sign is a signature."""
        paths = {file.path for file in seen} if self._mode() is not OpenPgpMode.NEVER else set[str]()
        return [
            file
            for file in seen
            if reason_to_skip(file, self._run.selection, self._now) is None
            and file.unusable is None
            and not (file.path.lower().endswith(".asc") and file.path[: -len(".asc")] in paths)
        ]

    def _consider(self, file: RemoteFile) -> None:
        """Keep the smallest of each kind."""
        try:
            opening = layout.opening(file.name, self._mode(), self._run.unpack.mode)
        except layout.NameRefusedError:
            return
        if file.size > PROBED_BYTES:
            return
        if not opening.encrypted:
            self._plain = min(filter(None, (self._plain, file)), key=lambda one: one.size)
        elif self._openpgp_settings() is not None:
            self._encrypted = min(filter(None, (self._encrypted, file)), key=lambda one: one.size)

    # ---- decryption -----------------------------------------------------------------------------

    def _mode(self) -> OpenPgpMode:
        return self._run.decrypt.openpgp.mode if self._run.decrypt else OpenPgpMode.NEVER

    def _openpgp_settings(self) -> OpenPgp | None:
        return self._run.decrypt.openpgp if self._run.decrypt and self._mode() is not OpenPgpMode.NEVER else None

    def _requires_signature(self) -> bool:
        return self._run.decrypt is not None and self._run.decrypt.openpgp.require_signature

    async def _openpgp(self) -> str:
        decrypt = self._run.decrypt
        if decrypt is None or (self._openpgp_settings() is None and not self._requires_signature()):
            raise _NotNeededError("the provider decrypts nothing")
        context = key_ring(self._settings.memory_dir, self._secrets, decrypt.openpgp)
        self._ring = await _in_thread(context.__enter__)
        self._stack.push_async_callback(_leave, context)
        return "the keys are read"

    async def _signature(self) -> str:
        """Only one that lies beside a file; what is inside of a message comes to light when it is decrypted."""
        if not self._requires_signature():
            raise _NotNeededError("no signatures are required")
        file, ring, source = self._encrypted or self._plain, self._ring, self._source
        if file is None:
            raise _NotNeededError(f"no file of up to {PROBED_BYTES >> 20} MiB matches")
        assert ring is not None  # noqa: S101 - with the keys
        assert source is not None  # noqa: S101 - with the listing
        found = await detached_signature(source, file)
        if found is None:
            names = " nor ".join(f"{file.name}{ending}" for ending in SIGNATURES)
            if file is self._encrypted:
                return f"{file.path} has neither {names} beside it, so it must be signed inside, which decrypt tells"
            raise Failed(
                Category.INTEGRITY,
                f"decrypt.openpgp.requireSignature is set, and {file.path} has neither {names} beside it; have the "
                "provider sign its files, or leave those out that it does not sign",
            )
        self._signed_beside = True
        try:
            await self._through(file, lambda chunks: ring.verify_detached(found.data, chunks))
        except Failed as error:
            raise Failed(
                error.category,
                f"{found.path}: {error.detail}; check that decrypt.openpgp.signerKeysSecretRef names the key that the "
                "provider signs with, and that it signs the file as it is on the server",
            ) from error
        return f"{found.path} is a good signature by one of the signers"

    async def _decrypt(self) -> str:
        file, ring = self._encrypted, self._ring
        if self._openpgp_settings() is None:
            raise _NotNeededError("the provider decrypts nothing")
        if file is None:
            raise _NotNeededError(f"no encrypted file of up to {PROBED_BYTES >> 20} MiB matches")
        assert ring is not None  # noqa: S101 - with the keys
        meter, signed_beside = ExpansionMeter(file.size, self._run.unpack), self._signed_beside
        head, plain = await self._through(file, lambda chunks: ring.decrypt(chunks, meter, signed_beside=signed_beside))
        return f"{file.path}, encrypted to {', '.join(recipients(head)) or 'nobody'}: {file.size} bytes become {plain}"

    async def _through(
        self, file: RemoteFile, stage: Callable[[Iterator[bytes]], Iterator[bytes]]
    ) -> tuple[bytes, int]:
        """Send a file through a stage: its first bytes, and how many the stage made of all."""
        source = self._source
        assert source is not None  # noqa: S101 - with the listing
        stop, loop, read, head = Stop(), asyncio.get_running_loop(), 0, b""

        def counted() -> Iterator[bytes]:
            nonlocal read, head
            with closing(pulled(loop, source.read(file), stop)) as chunks:
                for chunk in chunks:
                    head = head or chunk
                    read += len(chunk)
                    yield chunk

        made = await _in_thread(lambda: sum(map(len, stage(counted()))), stop=stop)
        if read != file.size:
            raise Failed(Category.INTEGRITY, f"{file.path}: the server gave {read} bytes of {file.size}")
        return head, made


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
