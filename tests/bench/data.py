"""The files that are moved: made once from a fixed seed, kept below .octo/bench/data, read into the file cache."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Protocol

from isal import isal_zlib

MIB = 1 << 20
LARGE_BYTES = 256 * MIB
SMALL_FILES, SMALL_BYTES = 2000, 4096
RECIPE = "1"
"""Another one where the files have to be made anew."""
KEYS = {"rsa3072": ("rsa3072", "rsa3072"), "cv25519": ("ed25519", "cv25519")}
"""Name to primary key and encryption subkey; the first is what gpg 2.2 makes by default."""
PASSPHRASE = "throw-away-bench-passphrase"
_TEXTS = ("card payment", "direct debit", "salary", "transfer", "refund", "standing order", "fee", "interest")
_GPG = ("gpg", "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--trust-model", "always")
_ENCRYPT = ("--cipher-algo", "AES256", "-z", "0", "--encrypt")
_GZIP = 31
"""zlib's wbits for a gzip stream."""


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Workload:
    """A folder of files, and what comes of them."""

    name: str
    folder: Path
    files: int
    source_bytes: int
    """As they lie on the server."""
    plain_bytes: int
    """Decrypted and unpacked."""


@dataclass(frozen=True, slots=True)
class Key:
    """A private key as a provider's Secret has it."""

    name: str
    private: Path


class Data:
    """The files below one folder."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder / f"data-{RECIPE}"
        self._say = say
        for other in folder.glob("data-*"):
            if other != self._folder:
                shutil.rmtree(other)

    def key(self, name: str) -> Key:
        """A key pair."""

        def make(folder: Path) -> None:
            with _ring() as home:
                primary, subkey = KEYS[name]
                secret = ("--passphrase", PASSPHRASE)
                _gpg(home, *secret, "--quick-generate-key", "bench@example.com", primary, "cert,sign", "never")
                listed = _gpg(home, "--with-colons", "--list-keys").decode()
                fingerprint = next(line for line in listed.splitlines() if line.startswith("fpr:")).split(":")[9]
                _gpg(home, *secret, "--quick-add-key", fingerprint, subkey, "encr", "never")
                (folder / "private.asc").write_bytes(_gpg(home, *secret, "--armor", "--export-secret-keys"))
                (folder / "public.asc").write_bytes(_gpg(home, "--armor", "--export"))

        return Key(name, self._made(f"key-{name}", make) / "private.asc")

    def large(self) -> Workload:
        """One encrypted, compressed table."""

        def make(folder: Path) -> None:
            packed = _compressed(table(LARGE_BYTES), zlib.compressobj(6, zlib.DEFLATED, _GZIP))
            self._encrypt_to("rsa3072", packed, folder / "statement.csv.gz.gpg")

        return _workload(self._made("large", make), LARGE_BYTES)

    def large_plain(self) -> Workload:
        """The same table as it is."""

        def make(folder: Path) -> None:
            with (folder / "statement.csv").open("wb") as file:
                file.writelines(table(LARGE_BYTES))

        return _workload(self._made("large-plain", make), LARGE_BYTES)

    def small(self, key: str, files: int = SMALL_FILES) -> Workload:
        """Many small tables, each compressed and encrypted."""

        def make(folder: Path) -> None:
            for number in range(files):
                rows = b"".join(table(SMALL_BYTES, seed=number))
                packed = b"".join(_compressed(iter([rows]), zlib.compressobj(6, zlib.DEFLATED, _GZIP)))
                (folder / f"{number:05}.csv.gz").write_bytes(packed)
            plain = sorted(folder.iterdir())
            with self._ring_with(key) as home:
                names = "".join(f"{path}\n" for path in plain).encode()
                # Names by standard input: that many do not fit into arguments.
                _gpg(home, "--recipient", "bench@example.com", "--multifile", *_ENCRYPT, data=names)
            for path in plain:
                path.unlink()

        return _workload(self._made(f"small-{key}-{files}", make), files * SMALL_BYTES)

    @contextmanager
    def memory(self, name: str, plain_bytes: int) -> Iterator[Workload]:
        """One encrypted, compressed table of any size. It is not kept."""
        with tempfile.TemporaryDirectory(prefix="making-", dir=self._folder) as parent:
            self._say(f"making {name}")
            folder = Path(parent) / name
            folder.mkdir()
            packed = _compressed(table(plain_bytes), isal_zlib.compressobj(3, isal_zlib.DEFLATED, _GZIP))
            self._encrypt_to("rsa3072", packed, folder / "statement.csv.gz.gpg")
            yield _workload(folder, plain_bytes)

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder of that name; made under another one first, so that it is there whole or not at all."""
        folder = self._folder / name
        if not folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="making-", dir=self._folder) as parent:
                self._say(f"making {name}")
                made = Path(parent) / name
                made.mkdir()
                make(made)
                made.rename(folder)
        return folder

    def _encrypt_to(self, key: str, chunks: Iterator[bytes], path: Path) -> None:
        with self._ring_with(key) as home:
            options = ("--homedir", str(home), "--recipient", "bench@example.com", "--output", str(path))
            process = subprocess.Popen([*_GPG, *options, *_ENCRYPT], stdin=subprocess.PIPE)
            assert process.stdin is not None
            with process.stdin:
                process.stdin.writelines(chunks)
            if process.wait() != 0:
                raise RuntimeError("gpg could not encrypt the sample")

    @contextmanager
    def _ring_with(self, key: str) -> Iterator[Path]:
        public = self.key(key).private.with_name("public.asc")
        with _ring() as home:
            _gpg(home, "--import", str(public))
            yield home


def table(size: int, seed: int = 0) -> Iterator[bytes]:
    """That many bytes of rows that compress as bank statements do, about 3 : 1; rows come again after 64 MiB."""
    blocks = [
        b"".join(_rows(random.Random(seed * 1000 + n), min(size, 8 * MIB)))
        for n in range(min(8, -(-size // (8 * MIB))))
    ]
    for block in cycle(blocks):
        if size <= len(block):
            yield block[:size]
            return
        size -= len(block)
        yield block


def _rows(rng: random.Random, size: int) -> Iterator[bytes]:
    number = 100_000_000
    while size > 0:
        bits = rng.getrandbits(64)
        row = b"%d,2026-%02d-%02d,DE%010d,%d.%02d,EUR,%s,%06d\n" % (
            number,
            bits % 12 + 1,
            (bits >> 4) % 28 + 1,
            (bits >> 10) % 10**10,
            (bits >> 20) % 10**5,
            (bits >> 38) % 100,
            _TEXTS[bits >> 61].encode(),
            (bits >> 45) % 5000,
        )
        yield row
        number += 1
        size -= len(row)


def warm(workload: Workload) -> None:
    """Read the files, so that no run is the first to do so."""
    for path in workload.folder.iterdir():
        with path.open("rb", buffering=0) as file:
            while file.read(MIB):
                pass


@contextmanager
def naive_ring(key: Key) -> Iterator[Path]:
    """A key ring with gpg's default settings that has the key."""
    with _ring() as home:
        _gpg(home, "--passphrase", PASSPHRASE, "--import", str(key.private))
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        yield home


@contextmanager
def _ring() -> Iterator[Path]:
    # In the system's own folder: the agent's socket needs a short path.
    with tempfile.TemporaryDirectory(prefix="octo-bench-", ignore_cleanup_errors=True) as home:
        try:
            yield Path(home)
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def _gpg(home: Path, *arguments: str, data: bytes = b"") -> bytes:
    command = [*_GPG, "--homedir", str(home), *arguments]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def _compressed(chunks: Iterator[bytes], compressor: _Compressor) -> Iterator[bytes]:
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def _workload(folder: Path, plain_bytes: int) -> Workload:
    sizes = [path.stat().st_size for path in folder.iterdir()]
    return Workload(folder.name, folder, len(sizes), sum(sizes), plain_bytes)
