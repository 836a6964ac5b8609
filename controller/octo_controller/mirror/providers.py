"""Keeps a copy of each OctoProvider in Postgres, from which a new cluster can be given them again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from octo_core.db.provider_rows import ProviderCopy, copy_of
from octo_core.domain.errors import DatabaseUnavailableError

Raw = dict[str, Any]
logger = logging.getLogger(__name__)


class ProviderWriter(Protocol):
    """How copies get to Postgres. Both raise DatabaseUnavailableError while it is away."""

    async def providers(self) -> set[str]: ...
    async def write_providers(self, copies: Sequence[ProviderCopy], gone: Collection[str]) -> None: ...


class ProviderMirror:
    """Knows what there is, and what Postgres has of it. ``owns`` tells which ones, by name, are this controller's."""

    def __init__(self, writer: ProviderWriter, *, owns: Callable[[str], bool]) -> None:
        self._writer = writer
        self._owns = owns
        self._there: dict[str, ProviderCopy] = {}
        self._held: dict[str, ProviderCopy | None] | None = None

    def saw(self, raw: Raw) -> None:
        """One was listed, or has changed."""
        if self._owns(raw["metadata"]["name"]):
            self._there[raw["metadata"]["name"]] = copy_of(raw)

    def gone(self, name: str) -> None:
        """One was deleted."""
        self._there.pop(name, None)

    def start_over(self) -> None:
        """Postgres does not hold what was written."""
        self._held = None

    async def flush(self) -> None:
        """Write what is not there yet, once everything was listed; while Postgres is away the next call does it."""
        there = dict(self._there)
        try:
            if self._held is None:
                self._held = {name: None for name in await self._writer.providers() if self._owns(name)}
            changed = [copy for name, copy in there.items() if self._held.get(name) != copy]
            gone = self._held.keys() - there.keys()
            if changed or gone:
                await self._write(changed, gone)
        except DatabaseUnavailableError:
            return
        self._held = dict(there)

    async def _write(self, changed: Sequence[ProviderCopy], gone: Collection[str]) -> None:
        """Write all at once; if Postgres does not take that, one by one, and leave the one that is at fault until it
        changes."""
        try:
            await self._writer.write_providers(changed, gone)
        except DatabaseUnavailableError:
            raise
        except Exception:
            if len(changed) + len(gone) <= 1:
                logger.exception(
                    "the copy of OctoProvider %s cannot be written", *(copy.name for copy in changed), *gone
                )
                return
            for copy in changed:
                await self._write([copy], ())
            for name in gone:
                await self._write((), [name])
