"""Whether there is a provider for a run, asked of the cluster once in a while rather than with every request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from octo_api.providers.service import ProviderService

_BELIEVED = timedelta(seconds=5)
_CAPACITY = 1024


class KnownProviders:
    """Only that one exists is remembered. If it goes meanwhile, the run says so itself: ``ProviderNotFound``."""

    def __init__(self, providers: ProviderService, *, clock: Callable[[], datetime]) -> None:
        self._providers = providers
        self._clock = clock
        self._until: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    async def require(self, namespace: str, name: str) -> None:
        """Raise ProviderNotFoundError if there is none, or ClusterUnavailableError."""
        key, now = (namespace, name), self._clock()
        until = self._until.get(key)
        if until is not None and now < until:
            return
        await self._providers.get(namespace, name)
        self._until[key] = now + _BELIEVED
        self._until.move_to_end(key)
        if len(self._until) > _CAPACITY:
            self._until.popitem(last=False)
