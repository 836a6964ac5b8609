"""Waits for Postgres to tell of events. A hint only: whoever misses one finds the rows by looking."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import asyncpg
from sqlalchemy import make_url

from octo_core.db.events import CHANNEL
from octo_core.settings import DatabaseSettings

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_ALIVE_SECONDS = 30.0


async def listen(settings: DatabaseSettings, heard: Callable[[], None], *, application_name: str) -> None:
    """Call ``heard`` for each hint until cancelled, over a connection of its own that is made anew when it breaks.

    Where LISTEN is not to be had, as behind a pooler of transactions, nothing is ever heard, and that is all.
    """
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql")
    dsn = url.render_as_string(hide_password=False)

    def hint(*_: Any) -> None:
        heard()

    while True:
        try:
            connection = await asyncpg.connect(
                dsn, timeout=5, command_timeout=10, server_settings={"application_name": application_name}
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        try:
            await connection.add_listener(CHANNEL, hint)
            heard()
            while True:
                await asyncio.sleep(_ALIVE_SECONDS)
                # A connection that died in silence is noticed by using it.
                await connection.execute("SELECT 1")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            logger.info("the listening connection broke", extra={"cause": type(error).__name__})
        finally:
            connection.terminate()
