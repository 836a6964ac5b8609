"""How kopf is told to do nothing but watch."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import kopf

from octo_core.domain.names import GROUP, LABEL_ARCHIVED, VERSION

OCTOJOBS = (GROUP, VERSION, "octojobs")


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled state: there are no handlers of changes, and building it halves the event rate."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> Any:
        return {}

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        return None


class NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers on the objects."""

    def fetch(self, *, key: Any, body: Any) -> Any:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        return None

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        return None

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class EndlessBackoffs(Iterable[float]):
    """Jittered delays up to a cap, without end: an API server that is away must not end the process."""

    def __init__(self, *, first: float = 1.0, cap: float = 30.0) -> None:
        self._first = first
        self._cap = cap

    def __iter__(self) -> Iterator[float]:
        delay = self._first
        while True:
            yield delay * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
            delay = min(delay * 2, self._cap)


def tuned(selector: str = "") -> kopf.OperatorSettings:
    """Settings by measurement; the reasons are in the design's notes on kopf. ``selector`` is of the labels of
    OctoJobs; empty is all of those that are not put aside."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    # A worker keeps its slot while idle, so a limit throttles by idleness; the work queue bounds instead.
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 2.0
    settings.queueing.error_delays = (1, 2, 5, 10, 30, 60)
    settings.watching.inactivity_timeout = 70.0
    # Sent as it is, and the API server takes whole seconds only.
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660.0
    settings.watching.connect_timeout = 10.0
    settings.watching.chunk_size = 500
    # A stream that breaks before its first bookmark would lose objects (kopf 1.45.2).
    settings.watching.initial_streaming = False
    settings.watching.label_selectors[OCTOJOBS] = ",".join(filter(None, (f"!{LABEL_ARCHIVED}", selector)))
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 10.0
    settings.networking.error_backoffs = EndlessBackoffs()
    return settings
