"""Waiting for a state inside a running event loop; ``tests.support.kubectl.eventually`` does it outside of one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


async def until(probe: Callable[[], Awaitable[T]], *, within: float = 240, every: float = 0.05, what: str = "") -> T:
    """The first true answer of ``probe``; fails the test when there is none within that many seconds."""
    try:
        async with asyncio.timeout(within):
            while not (found := await probe()):  # noqa: ASYNC110 - what it waits for is in another process
                await asyncio.sleep(every)
    except TimeoutError:
        pytest.fail(f"{what or 'the wanted state'} did not come within {within} s")
    return found
