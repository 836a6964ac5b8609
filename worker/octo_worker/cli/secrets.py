"""Gives the worker a laptop's secrets in the layout in which a pod mounts them.

A user keeps a folder for each Secret with a file for each key, as ``kubectl`` users know them mounted.
The worker reads ``sftp/``, ``openpgp/`` and ``s3/`` (``octo_core.domain.run.SECRETS_DIR``). In between
there are symbolic links in a private folder: no secret is copied.
"""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octo_core.domain.failure import Category
from octo_core.domain.provider import OctoProviderSpec, OpenPgpMode, SecretKeyRef
from octo_worker.failure import Failed

SFTP_KEYS = ("password", "privateKey", "passphrase", "certificate")
S3_KEYS = ("accessKeyId", "secretAccessKey")
S3_OPTIONAL_KEYS = ("sessionToken",)


@dataclass(frozen=True, slots=True)
class Expected:
    """A key of a Secret that a field of the provider names, and where the worker looks for it."""

    field: str
    secret: str
    key: str
    place: str
    required: bool = True

    @property
    def group(self) -> str:
        """The worker's folder for it."""
        return self.place.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Mounted:
    """The folder that the worker reads, what is missing in it, and what a person should know."""

    folder: Path
    problems: Mapping[str, list[str]]
    """By group: ``sftp``, ``openpgp``, ``s3``."""
    warnings: tuple[str, ...]

    def check(self) -> None:
        """Raises ``Failed`` (Config) with all problems."""
        lines = [text for texts in self.problems.values() for text in texts]
        if lines:
            raise Failed(Category.CONFIG, "\n".join(lines))


def expected(spec: OctoProviderSpec, *, openpgp: bool = True) -> list[Expected]:
    """All keys that a provider's fields name. Pure. ``openpgp`` False leaves out those for decryption."""
    wanted: list[Expected] = []
    if spec.source is not None:
        ref = spec.source.sftp.credentials_secret_ref
        field = "spec.source.sftp.credentialsSecretRef"
        wanted += [Expected(field, ref.name, key, f"sftp/{key}", required=False) for key in SFTP_KEYS]
    if spec.destination is not None and (s3 := spec.destination.s3.credentials_secret_ref) is not None:
        field = "spec.destination.s3.credentialsSecretRef"
        wanted += [Expected(field, s3.name, key, f"s3/{key}") for key in S3_KEYS]
        wanted += [Expected(field, s3.name, key, f"s3/{key}", required=False) for key in S3_OPTIONAL_KEYS]
    pgp = spec.decrypt.openpgp if spec.decrypt is not None and openpgp else None
    if pgp is not None and (pgp.require_signature or pgp.mode is not OpenPgpMode.NEVER):
        wanted += _key("spec.decrypt.openpgp.signerKeysSecretRef", pgp.signer_keys_secret_ref, "openpgp/signerKeys")
    if pgp is not None and pgp.mode is not OpenPgpMode.NEVER:
        field = "spec.decrypt.openpgp"
        wanted += _key(f"{field}.keySecretRef", pgp.key_secret_ref, "openpgp/privateKey")
        wanted += _key(f"{field}.passphraseSecretRef", pgp.passphrase_secret_ref, "openpgp/passphrase")
        for number, more in enumerate(pgp.additional_keys):
            at, place = f"{field}.additionalKeys[{number}]", f"openpgp/additional/{number}"
            wanted += _key(f"{at}.keySecretRef", more.key_secret_ref, f"{place}/privateKey")
            wanted += _key(f"{at}.passphraseSecretRef", more.passphrase_secret_ref, f"{place}/passphrase")
    return wanted


def _key(field: str, ref: SecretKeyRef | None, place: str) -> list[Expected]:
    return [] if ref is None else [Expected(field, ref.name, ref.key, place)]


@contextmanager
def mounted(wanted: list[Expected], folder: Path) -> Iterator[Mounted]:
    """The worker's folder of secrets, made of links to the files in ``folder``; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="octo-secrets-") as made:  # mode 0700
        place, problems, exposed = Path(made), _Problems(folder), []
        for one in wanted:
            file = folder.absolute() / one.secret / one.key
            if problems.of(one, file):
                continue
            link = place / one.place
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            link.symlink_to(file)
            if _open_to_all(file, folder):
                exposed.append(file)
        logins = [one for one in wanted if one.place in ("sftp/password", "sftp/privateKey")]
        if logins and not problems.found.get("sftp") and not any((place / one.place).is_symlink() for one in logins):
            problems.found["sftp"].append(
                f"{logins[0].field} names the Secret {logins[0].secret}, but {folder / logins[0].secret} has neither "
                "`password` nor `privateKey`; put the login into one of these files"
            )
        warnings = []
        if exposed:
            files = " ".join(shlex.quote(str(file)) for file in exposed)
            warnings.append(f"everybody on this machine can read secrets; run: chmod go= {files}")
        yield Mounted(place, problems.found, tuple(warnings))


class _Problems:
    """Finds what is missing, and says a missing folder only once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._absent: set[tuple[str, str]] = set()
        self.found: defaultdict[str, list[str]] = defaultdict(list)

    def of(self, one: Expected, file: Path) -> bool:
        """Whether the file cannot be used; adds the problem unless the key may be absent."""
        names = f"{one.field} names the Secret {one.secret}"
        if "/" in one.secret or "/" in one.key or {one.secret, one.key} & {".", ".."}:
            self.found[one.group].append(f"{one.field}: {one.secret}/{one.key} is no name of a Secret and its key")
        elif not file.parent.is_dir():
            if (one.group, one.secret) not in self._absent:
                self._absent.add((one.group, one.secret))
                self.found[one.group].append(
                    f"{names}, but there is no folder {self._folder / one.secret}; make it with a file for each key "
                    "of the Secret, or say with --secrets where it is"
                )
        elif not file.exists():
            if not one.required:
                return True
            self.found[one.group].append(
                f"{names} and its key {one.key}, but there is no file {file}; put the value into it"
            )
        elif not file.is_file():
            self.found[one.group].append(f"{names} and its key {one.key}, but {file} is not a file")
        elif not os.access(file, os.R_OK):
            self.found[one.group].append(
                f"{names} and its key {one.key}, but {file} cannot be read; check its owner and mode"
            )
        elif file.stat().st_size == 0:
            self.found[one.group].append(f"{names} and its key {one.key}, but {file} is empty; put the value into it")
        else:
            return False
        return True


def _open_to_all(file: Path, folder: Path) -> bool:
    """Whether any user may read the file: by its own mode, and by those of the folders above it, as far as given."""
    return bool(file.stat().st_mode & stat.S_IROTH) and all(
        above.stat().st_mode & stat.S_IXOTH for above in (file.parent, folder)
    )
