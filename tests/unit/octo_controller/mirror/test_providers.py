"""The copies of OctoProviders, on a database that takes most of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from octo_controller.mirror.providers import ProviderMirror
from octo_core.db.provider_rows import ProviderCopy
from octo_core.domain.errors import DatabaseUnavailableError


class Rows:
    """Postgres, which is away, or refuses some."""

    def __init__(self, *held: str, refuses: str = "") -> None:
        self.held = set(held)
        self.refuses = refuses
        self.away = False
        self.calls = 0

    async def providers(self) -> set[str]:
        return set(self.held)

    async def write_providers(self, copies: Sequence[ProviderCopy], gone: Collection[str]) -> None:
        self.calls += 1
        if self.away:
            raise DatabaseUnavailableError("away")
        if self.refuses in {*(copy.name for copy in copies), *gone}:
            raise ValueError("no such value")
        self.held = (self.held | {copy.name for copy in copies}) - set(gone)


def mirror(rows: Rows, *names: str) -> ProviderMirror:
    found = ProviderMirror(rows, owns=lambda name: True)
    for name in names:
        found.saw({"metadata": {"name": name, "uid": name}, "spec": {}})
    return found


async def test_one_that_postgres_refuses_keeps_no_other_from_it_and_ends_nothing() -> None:
    rows = Rows("gone", "c", refuses="b")
    providers = mirror(rows, "a", "b", "c")
    await providers.flush()
    assert rows.held == {"a", "c"}
    calls = rows.calls
    await providers.flush()
    assert rows.calls == calls, "it is tried again once it has changed"
    rows.refuses = ""
    providers.saw({"metadata": {"name": "b", "uid": "b"}, "spec": {"schedule": {"cron": "@daily"}}})
    await providers.flush()
    assert rows.held == {"a", "b", "c"}


async def test_while_postgres_is_away_the_next_call_does_it() -> None:
    rows = Rows()
    rows.away = True
    providers = mirror(rows, "a")
    await providers.flush()
    rows.away = False
    await providers.flush()
    assert rows.held == {"a"}
