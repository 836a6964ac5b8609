"""Lists are read page by page, here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

PAGE = 200
"""As many as a page may hold everywhere."""


class Page(Protocol[T]):
    """Part of a list, and how to go on."""

    @property
    def items(self) -> list[T]:
        """What is on it."""
        ...

    @property
    def next_cursor(self) -> str | None:
        """None on the last."""
        ...


def everything(read: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """All items; the next page is read once somebody wants it. ``read`` takes a cursor, None at first."""
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return
