"""Work beside the requests: it is repeated, it survives its own failures, and it ends when told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from octo_core.domain.errors import OctoError

logger = logging.getLogger(__name__)

_MAX_BACKOFF_SECONDS = 5.0


async def repeat(name: str, step: Callable[[], Awaitable[object]], *, every: float) -> None:
    """Do ``step`` again and again, until cancelled."""
    while True:
        await _attempt(name, step)
        await asyncio.sleep(every)


async def until_done(name: str, step: Callable[[], Awaitable[object]], *, first_wait: float = 0.5) -> None:
    """Do ``step`` until it succeeds, waiting longer each time."""
    wait = first_wait
    while not await _attempt(name, step):
        await asyncio.sleep(wait)
        wait = min(wait * 2, _MAX_BACKOFF_SECONDS)


async def _attempt(name: str, step: Callable[[], Awaitable[object]]) -> bool:
    try:
        await step()
    except OctoError as error:
        logger.warning("%s failed, will try again", name, extra={"code": error.code, "cause": error.detail})
    except Exception:
        # Nobody awaits a background task: what escapes here would end it in silence.
        logger.exception("%s failed, will try again", name)
    else:
        return True
    return False
