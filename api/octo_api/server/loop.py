"""The event loop of the api: uvloop's, without its one way to send an answer to somebody else's connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvloop


class Loop(uvloop.Loop):
    """Takes a socket that it is given to connect for good, whatever comes of it.

    uvloop closes its descriptor but leaves it with the Python socket where the connection breaks off before it is set
    up, as when the API server is killed between TCP and TLS. By the time the socket is collected, the number belongs
    to another connection: that one is closed without being told, its number goes to the next client, and so does
    the answer still under way. aiohttp connects in this way.
    """

    async def create_connection(self, protocol_factory: Callable[[], Any], *args: Any, **more: Any) -> tuple[Any, Any]:
        """As asyncio has it; a socket that is given is nobody else's from now on."""
        try:
            return await super().create_connection(protocol_factory, *args, **more)
        finally:
            if more.get("sock") is not None:
                more["sock"].detach()
