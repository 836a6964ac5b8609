"""Reads the secrets that are mounted for a run. Their values go to the libraries that need them, nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from octo_core.domain.failure import Category
from octo_worker.failure import Failed


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets folder; each group (``sftp``, ``openpgp``, ``s3``) is a folder in it."""

    folder: Path

    def read(self, group: str, key: str) -> bytes | None:
        """The bytes of a secret as mounted, or None if the Secret does not have that key."""
        try:
            return (self.folder / group / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failed(Category.CONFIG, f"secret {group}/{key} cannot be read: {error.strerror}") from error

    def line(self, group: str, key: str) -> str | None:
        """A secret that is one line of text; a line end that an editor or ``echo`` left is not part of it."""
        value = self.read(group, key)
        if value is None:
            return None
        try:
            return value.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Failed(Category.CONFIG, f"secret {group}/{key} is not UTF-8 text") from None
