"""Runs kopf in a thread of its own.

kopf cancels every task that was made in its loop after it started, and takes the signals of the main
thread. In its own loop neither touches the queue, the mirror or the health port, and the order of a
clean stop is ours.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import kopf

from octo_controller.watch.handlers import Raw, Sink, register
from octo_controller.watch.login import register_login
from octo_controller.watch.tuning import tuned

logger = logging.getLogger(__name__)


class Door:
    """The watches of one namespace. ``sink`` is called in the loop that started the door."""

    def __init__(self, sink: Sink, *, namespace: str, kubeconfig: str | None, on_exit: Callable[[], None]) -> None:
        self._sink = sink
        self._namespace = namespace
        self._kubeconfig = kubeconfig
        self._on_exit = on_exit
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Start to watch. ``on_exit`` is called in this loop if kopf ends without being told to."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="kopf", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Stop to watch; returns when no more events come."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 15)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        def forward(kind: str, raw: Raw, gone: bool) -> None:
            loop.call_soon_threadsafe(self._sink, kind, raw, gone)

        registry = kopf.OperatorRegistry()
        register(registry, forward)
        register_login(registry, self._kubeconfig)
        try:
            asyncio.run(
                kopf.operator(
                    registry=registry,
                    settings=tuned(),
                    namespaces=[self._namespace],
                    standalone=True,
                    stop_flag=self._stop,
                )
            )
        except BaseException:
            logger.exception("kopf has ended")
        if not self._stop.is_set():
            loop.call_soon_threadsafe(self._on_exit)
