"""Ends what runs when the process is told to, and only once."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


async def stoppable(work: Coroutine[Any, Any, T], told: Callable[[], None] = lambda: None) -> T:
    """Run it; the first SIGTERM or SIGINT cancels it and calls ``told``, later ones do not disturb its cleaning up."""
    task = asyncio.ensure_future(work)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            log.info("told to stop")
            told()
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return await task
