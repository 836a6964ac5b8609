"""What the controller counts. Labels are few and fixed: never an object's name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from octo_core.domain.status import State

GAUGES = {
    "queue_depth": "Keys that wait for a worker.",
    "queue_oldest_seconds": "Age of the oldest key at hand.",
    "queue_retries": "Visits that failed so far.",
    "queue_failing": "Keys whose last visit failed; one that stays here is stuck.",
    "mirror_pending": "Changes not yet in Postgres.",
    "mirror_lag_seconds": "Age of the oldest change not yet in Postgres.",
    "mirror_up": "Whether the last write to Postgres went through.",
    "watch_age_seconds": "Since the last event, bookmark or full list.",
    "watch_behind_seconds": "Since the oldest known change that a watch has not told of.",
    "loop_lag_seconds": "How late the event loop is.",
    "leader": "Whether this process holds its Lease.",
    "lease_transitions": "How often the Lease has changed hands.",
    "api_writes": "Writes to the Kubernetes API so far.",
    "finalizer_fail_open": "Deleted OctoJobs let go so far without their last state in Postgres.",
    "events_written": "Events about OctoJobs written so far.",
    "events_dropped": "Events about OctoJobs not written: too many, or refused.",
    "jobs_stuck": "Objects without a decision: for five minutes each visit failed, or none came or ended.",
    "jobs_stalled": "Runs that have told of no progress for too long.",
}
"""What is read when it is asked for: the name after ``octo_controller_``, and what it says."""

PROVIDER_TIMES = {
    "last_success": "When a run of the provider last succeeded, in seconds since 1970; absent if none has.",
    "last_tick": "The last tick of the provider's schedule that made a run, in seconds since 1970; absent if none has.",
    "next_tick": "The next tick of the provider's schedule, in seconds since 1970; absent without one.",
}
"""Times of each provider: the name between ``octo_provider_`` and ``_timestamp_seconds``, and what it says."""

JOBS_HELP = "OctoJobs by state; of those that are over, the ones not put aside yet."

LAGS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
WAITS = (1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 21_600)


class Metrics:
    """The metrics of one process, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
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
        self.status_lag = Histogram(
            "octo_controller_status_lag_seconds",
            "From the news about an object, such as a change of its Job, to the end of the visit that took it up.",
            ["kind"],
            buckets=LAGS,
            registry=self.registry,
        )
        self.mirror_delay = Histogram(
            "octo_controller_mirror_delay_seconds",
            "From a change of an OctoJob, as it was heard of, until it stood in Postgres.",
            buckets=LAGS,
            registry=self.registry,
        )
        self.submit_to_start = Histogram(
            "octo_controller_submit_to_start_seconds",
            "From the creation of an OctoJob to the start of its first attempt.",
            buckets=WAITS,
            registry=self.registry,
        )
        self.ended = Counter(
            "octo_controller_runs_ended_total",
            "Runs by the state in which they ended.",
            ["state"],
            registry=self.registry,
        )
        for state in State:
            if state.terminal:
                self.ended.labels(state.value)
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

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """One of ``GAUGES``, read when it is asked for."""
        Gauge(f"octo_controller_{name}", GAUGES[name], registry=self.registry).set_function(read)

    def watch_provider(self, name: str, read: Callable[[], dict[str, float]]) -> None:
        """One of ``PROVIDER_TIMES``: a time of each provider, in seconds since 1970, by its name."""
        self.registry.register(ProviderTimes(name, read))

    def watch_states(self, read: Callable[[], dict[State, int]]) -> None:
        """A gauge of OctoJobs by state."""
        gauge = Gauge("octo_controller_jobs", JOBS_HELP, ["state"], registry=self.registry)
        for state in State:
            gauge.labels(state.value).set_function(lambda state=state: float(read()[state]))  # type: ignore[misc]

    def render(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class ProviderTimes(Collector):
    """The only metrics with a label of names: of providers, which are few."""

    def __init__(self, name: str, read: Callable[[], dict[str, float]]) -> None:
        self._name = name
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As they are now: a provider that is gone leaves no sample behind."""
        family = GaugeMetricFamily(
            f"octo_provider_{self._name}_timestamp_seconds",
            PROVIDER_TIMES[self._name],
            labels=["provider"],
        )
        for provider, at in self._read().items():
            family.add_metric([provider], at)
        yield family


def declared() -> Metrics:
    """Every metric there is, with nothing behind it: what the reference page is made from."""
    metrics = Metrics()
    for name in GAUGES:
        metrics.watch(name, lambda: 0.0)
    metrics.watch_states(lambda: dict.fromkeys(State, 0))
    for name in PROVIDER_TIMES:
        metrics.watch_provider(name, dict)
    return metrics
