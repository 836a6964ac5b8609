"""What Warning events say of pods and Jobs.

The API server keeps events in no cache: a list of those of one pod reads all of the namespace's from etcd, as does a
list of all. So all are listed at once, for whoever asks next, and the dearer that was, the rarer it is done.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from octo_core.kube.client import KubeClient
from octo_core.kube.resources import EVENTS

FRESH_SECONDS, STALE_SECONDS = 2.0, 60.0
"""How old the answers may be: at least and at most."""
SHARE = 0.05
"""The part of the time in which a list may be under way."""
KEPT = 20


def fresh_for(took: float) -> float:
    """How many seconds a list is good for that took so many."""
    return min(max(FRESH_SECONDS, took / SHARE), STALE_SECONDS)


class Warnings:
    """Warning events of one namespace. ``clock`` is monotonic, in seconds."""

    def __init__(self, client: KubeClient, *, namespace: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._listing = asyncio.Lock()
        self._until = -float("inf")
        self._said: dict[tuple[str, str], tuple[str, ...]] = {}

    async def about(self, kind: str, name: str) -> tuple[str, ...]:
        """The messages about an object, newest last. Raises what the API server answers."""
        async with self._listing:
            if self._clock() >= self._until:
                await self._list()
        return self._said.get((kind, name), ())

    async def _list(self) -> None:
        begun, token = self._clock(), ""
        found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        while True:
            page = await self._client.list_page(
                EVENTS, self._namespace, field_selector="type=Warning", continue_token=token
            )
            for raw in page["items"]:
                about, at = raw["involvedObject"], raw.get("lastTimestamp") or raw.get("eventTime") or ""
                found[about.get("kind", ""), about.get("name", "")].append((at, str(raw.get("message", ""))))
            token = page["metadata"].get("continue", "")
            if not token:
                break
        self._said = {about: tuple(said for _, said in sorted(told)[-KEPT:]) for about, told in found.items()}
        now = self._clock()
        self._until = now + fresh_for(now - begun)
