"""Runs kopf in a thread of its own.

kopf cancels every task that was made in its loop after it started, and takes the signals of the main
thread. In its own loop neither touches the queue, the mirror or the health port, and the order of a
clean stop is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable

import kopf

from octo_controller.watch.handlers import Raw, Sink, register
from octo_controller.watch.login import register_login
from octo_controller.watch.tuning import tuned

logger = logging.getLogger(__name__)
JOIN_SECONDS = 15.0


class Door:
    """kopf's watches of one namespace. ``sink`` is called in the loop that started the door."""

    def __init__(
        self,
        sink: Sink,
        *,
        namespace: str,
        kubeconfig: str | None,
        on_exit: Callable[[], None],
        selector: str = "",
    ) -> None:
        """``selector`` is of the labels of OctoJobs."""
        self._selector = selector
        self._sink = sink
        self._namespace = namespace
        self._kubeconfig = kubeconfig
        self._on_exit = on_exit
        self._closing = False
        self._stop: Callable[[], object] = lambda: None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Start to watch, unless it does. ``on_exit`` is called in this loop if kopf ends without being told to."""
        if self._thread is not None:
            return
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="kopf", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Stop to watch; returns when no more events come."""
        self._closing = True
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended by itself
            self._stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, JOIN_SECONDS)

    def _run(self, home: asyncio.AbstractEventLoop) -> None:
        try:
            asyncio.run(self._watch(home))
        except BaseException:
            logger.exception("kopf has ended")
        if not self._closing:
            home.call_soon_threadsafe(self._on_exit)

    async def _watch(self, home: asyncio.AbstractEventLoop) -> None:
        def forward(kind: str, raw: Raw, gone: bool) -> None:
            home.call_soon_threadsafe(self._sink, kind, raw, gone)

        # Not a threading.Event: kopf waits for one in an executor's thread, which then outlives its own
        # failure and keeps it from ending.
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        if self._closing:
            return
        registry = kopf.OperatorRegistry()
        register(registry, forward)
        register_login(registry, self._kubeconfig)
        await kopf.operator(
            registry=registry,
            settings=tuned(self._selector),
            namespaces=[self._namespace],
            standalone=True,
            stop_flag=stop,
        )
