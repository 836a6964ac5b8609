"""uvicorn's server, told apart from the load balancer first when it has to end."""

from __future__ import annotations

import asyncio
from types import FrameType

import uvicorn

from octo_api.server.drain import Drain


class Server(uvicorn.Server):
    """On a signal it goes on serving for ``drain_seconds``, not ready, so that nothing is sent to it any more.

    Only then it stops listening, and finishes what is under way. A second signal skips the wait.
    """

    def __init__(self, config: uvicorn.Config, *, drain: Drain, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._drain_seconds = drain_seconds
        self._signals = 0
        self._ends_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came, between any two instructions: noted here, acted upon by the loop."""
        self._signals += 1
        if self._signals > 1:
            super().handle_exit(sig, frame)
        else:
            # Raised once more when all has ended, as uvicorn does.
            self._captured_signals.append(sig)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; true ends the serving."""
        if self._signals:
            now = asyncio.get_running_loop().time()
            if self._ends_at is None:
                self._drain.begin()
                self._ends_at = now + self._drain_seconds
            if now >= self._ends_at:
                self.should_exit = True
        return await super().on_tick(counter)
