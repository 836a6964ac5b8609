"""Keys, and files as a provider leaves them: made once, kept with their originals under .octo/demo.

The contents come from a seed; keys and ciphertext are fresh, since no demo should share a key.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.shell import STATE, run

HOME = STATE / "demo"
TAMPERED = "loans/2026-04.csv.gz.gpg"
_SEED = 20260101
_KEY_OWNER = "octo-demo@example.invalid"
# Long past, so that no choice by age leaves a file out.
_MODIFIED = 1_767_225_600


@dataclass(frozen=True, slots=True)
class Material:
    """What is in the folder."""

    home: Path

    @property
    def files(self) -> Path:
        """As they lie on the server."""
        return self.home / "files"

    @property
    def originals(self) -> Path:
        """As they have to be in the bucket, by the part of the key after ``<prefix>/``."""
        return self.home / "originals"

    def key(self, name: str) -> str:
        """One of: host_key, host_key.pub, client_key, client_key.pub, openpgp.asc, passphrase, s3-id, s3-secret."""
        return (self.home / "keys" / name).read_text()

    def expected(self) -> dict[str, Path]:
        """Key below the prefix to the original."""
        return {str(path.relative_to(self.originals)): path for path in self.originals.rglob("*") if path.is_file()}

    def fingerprint(self) -> str:
        """Another one for each making: pods that served an older one are replaced."""
        return hashlib.sha256(self.key("host_key.pub").encode()).hexdigest()[:16]

    def archive(self) -> bytes:
        """The server's files as a tar."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path in sorted(self.files.rglob("*")):
                info = tar.gettarinfo(path, arcname=str(path.relative_to(self.files)))
                info.mtime, info.uid, info.gid, info.uname, info.gname = _MODIFIED, 65532, 65532, "", ""
                if path.is_file():
                    with path.open("rb") as content:
                        tar.addfile(info, content)
                else:
                    tar.addfile(info)
        return buffer.getvalue()


def load_or_make() -> tuple[Material, bool]:
    """The material, and whether it was made just now."""
    if HOME.is_dir():
        return Material(HOME), False
    STATE.mkdir(exist_ok=True)
    # Made beside and renamed: a run that is interrupted leaves nothing half done.
    fresh = Path(tempfile.mkdtemp(prefix="demo.", dir=STATE))
    try:
        material = Material(fresh)
        (fresh / "keys").mkdir()
        _make_ssh_keys(fresh / "keys")
        (fresh / "keys" / "s3-id").write_text(secrets.token_hex(10))
        (fresh / "keys" / "s3-secret").write_text(secrets.token_hex(20))
        with _gpg_home(fresh / "keys") as gpg_home:
            _Maker(material, gpg_home).make()
        fresh.rename(HOME)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return Material(HOME), True


def _make_ssh_keys(folder: Path) -> None:
    for name in ("host_key", "client_key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"octo-demo-{name}", "-f", folder / name)


@contextmanager
def _gpg_home(keys: Path) -> Iterator[Path]:
    """A keyring with a fresh key pair, whose private half is written to ``keys``."""
    passphrase = secrets.token_urlsafe(24)
    (keys / "passphrase").write_text(passphrase)
    # In the system's own folder for temporary files: the agent's socket has a short limit for its path.
    with tempfile.TemporaryDirectory(prefix="octo-gpg-") as home:
        gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-fd", "0")
        try:
            owner = (_KEY_OWNER, "default", "default", "never")
            run(*gpg, "--quick-generate-key", *owner, stdin=passphrase.encode())
            exported = run(*gpg, "--armor", "--export-secret-keys", _KEY_OWNER, stdin=passphrase.encode())
            (keys / "openpgp.asc").write_text(exported)
            yield Path(home)
        finally:
            run("gpgconf", "--homedir", home, "--kill", "all")


class _Maker:
    """Writes each file twice: as it lies on the server, and as it has to arrive."""

    def __init__(self, material: Material, gpg_home: Path) -> None:
        self._material = material
        self._gpg_home = gpg_home
        self._random = random.Random(_SEED)  # noqa: S311 - contents, not keys

    def make(self) -> None:
        """Write all files."""
        for month, rows in (("01", 400), ("02", 700), ("03", 1100)):
            self._sealed_csv(f"loans/2026-{month}", self._csv(rows))
        self._sealed_csv("payments/emea/daily", self._csv(30_000))
        self._sealed_csv("payments/apac/daily", self._csv(5_000))
        for name in ("trades", "positions"):
            self._file(f"trades/{name}.xml.gpg", self._encrypt(content := self._xml(300)))
            self._original(f"data/xml/trades/{name}.xml", content)
        self._plain("pdf", "statements/2026-03.pdf", self._pdf())
        self._file("statements/2026-04.pdf.gpg", self._encrypt(content := self._pdf()))
        self._original("data/pdf/statements/2026-04.pdf", content)
        self._plain("json", "reference/currencies.json", json.dumps({"EUR": 2, "JPY": 0, "USD": 2}).encode())
        self._plain("other", "readme.txt", b"Files of the demo's provider.\n")
        self._file("prices/eod.csv.gz", gzip.compress(content := self._csv(2_000)))
        self._original("data/csv/prices/eod.csv", content)
        self._archive(
            "reports/2026-q1", {"summary.csv": self._csv(200), "detail/risk.xml": self._xml(100)}, sealed=True
        )
        self._archive(
            "reports/handbook", {"handbook.pdf": self._pdf(), "terms/fees.json": b'{"fee": 12}\n'}, sealed=False
        )
        # Not data: a signature beside its file is passed over.
        self._file("loans/2026-01.csv.gz.gpg.sig", self._random.randbytes(96))
        damaged = bytearray(self._encrypt(gzip.compress(self._csv(900))))
        damaged[len(damaged) // 2] ^= 1
        self._file(TAMPERED, bytes(damaged))

    def _sealed_csv(self, name: str, content: bytes) -> None:
        self._file(f"{name}.csv.gz.gpg", self._encrypt(gzip.compress(content)))
        self._original(f"data/csv/{name}.csv", content)

    def _plain(self, kind: str, name: str, content: bytes) -> None:
        self._file(name, content)
        self._original(f"data/{kind}/{name}", content)

    def _archive(self, name: str, members: dict[str, bytes], *, sealed: bool) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
                self._original(f"data/{member.rpartition('.')[2]}/{name}/{member}", content)
        packed = buffer.getvalue()
        self._file(f"{name}.tar.gz.gpg" if sealed else f"{name}.tar.gz", self._encrypt(packed) if sealed else packed)

    def _file(self, name: str, content: bytes) -> None:
        _write(self._material.files / name, content)

    def _original(self, name: str, content: bytes) -> None:
        _write(self._material.originals / name, content)

    def _encrypt(self, content: bytes) -> bytes:
        with tempfile.TemporaryDirectory(prefix="octo-gpg-") as folder:
            plain, sealed = Path(folder, "plain"), Path(folder, "sealed")
            plain.write_bytes(content)
            gpg = ("gpg", "--homedir", self._gpg_home, "--batch", "--quiet", "--trust-model", "always")
            run(*gpg, "--recipient", _KEY_OWNER, "--output", sealed, "--encrypt", plain)
            return sealed.read_bytes()

    def _csv(self, rows: int) -> bytes:
        lines = ["id,account,currency,amount"]
        for number in range(rows):
            currency = self._random.choice(("EUR", "USD", "JPY", "GBP"))
            amount = self._random.randrange(10**7) / 100
            lines.append(f"{number},{self._random.randbytes(8).hex()},{currency},{amount:.2f}")
        return ("\n".join(lines) + "\n").encode()

    def _xml(self, rows: int) -> bytes:
        items = "".join(f'  <item id="{number}">{self._random.randbytes(12).hex()}</item>\n' for number in range(rows))
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<items>\n{items}</items>\n'.encode()

    def _pdf(self) -> bytes:
        return b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" + self._random.randbytes(60_000) + b"\n%%EOF\n"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
