"""What the controller counts. Labels are few and fixed: never an object's name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from octo_core.domain.status import State


class Metrics:
    """The metrics of one process, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "octo_controller_reconcile_total", "Visits by kind and result.", ["kind", "result"], registry=self.registry
        )
        self.seconds = Histogram(
            "octo_controller_reconcile_seconds", "Duration of a visit.", ["kind"], registry=self.registry
        )
        self.events = Counter(
            "octo_controller_watch_events_total", "Watch events by kind.", ["kind"], registry=self.registry
        )
        self.resyncs = Counter(
            "octo_controller_resync_total", "Full lists by result.", ["result"], registry=self.registry
        )
        self.ticks = Counter(
            "octo_controller_schedule_ticks_total",
            "Ticks of schedules by what came of them: Fired, Busy, TooLate.",
            ["outcome"],
            registry=self.registry,
        )
        self.skipped_rows = Counter(
            "octo_controller_mirror_skipped_total", "OctoJobs that Postgres does not take.", registry=self.registry
        )

    @contextmanager
    def reconcile(self, kind: str) -> Iterator[Callable[[str], None]]:
        """Time a visit; call what is yielded with its result."""
        result = "error"

        def done(name: str) -> None:
            nonlocal result
            result = name

        start = time.perf_counter()
        try:
            yield done
        finally:
            self.seconds.labels(kind).observe(time.perf_counter() - start)
            self.reconciles.labels(kind, result).inc()

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(f"octo_controller_{name}", text, registry=self.registry).set_function(read)

    def watch_states(self, read: Callable[[], dict[State, int]]) -> None:
        """A gauge of OctoJobs by state."""
        gauge = Gauge("octo_controller_jobs", "OctoJobs by state.", ["state"], registry=self.registry)
        for state in State:
            gauge.labels(state.value).set_function(lambda state=state: float(read()[state]))  # type: ignore[misc]

    def render(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
