"""Prometheus metrics of one process; no label holds a uid or a name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector


class Metrics:
    """The api's metrics on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "octo_api_requests_total",
            "Requests by route template and status code.",
            ("method", "route", "code"),
            registry=self.registry,
        )
        self.latency = Histogram(
            "octo_api_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("method", "route"),
            registry=self.registry,
            buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.replays = Counter(
            "octo_idempotency_replays_total",
            "Creates answered with the run of an earlier request.",
            registry=self.registry,
        )
        self.repairs = Counter(
            "octo_idempotency_repairs_total",
            "Claims that a crash left behind and the sweeper finished or took back.",
            registry=self.registry,
        )
        self.webhook_deliveries = Counter(
            "octo_api_webhook_attempts_total",
            "Tries to deliver a message to a webhook, by how they ended: delivered or failed.",
            ("outcome",),
            registry=self.registry,
        )
        self.event_streams = Gauge("octo_api_event_streams", "Streams of events that are open.", registry=self.registry)
        self.shed = Counter(
            "octo_api_shed_total",
            "Requests refused with 503 because too many were under way.",
            registry=self.registry,
        )
        self.audit_dropped = Counter(
            "octo_audit_dropped_total",
            "Audit rows that could not be written; they stand in the log.",
            registry=self.registry,
        )
        self.audit_unannounced = Counter(
            "octo_audit_unannounced_total",
            "Changes made while Postgres was away, so that a crash at that moment would have left no audit row.",
            registry=self.registry,
        )
        self.audit_repairs = Counter(
            "octo_audit_repairs_total",
            "Audit rows of requests that a crash cut off, written afterwards.",
            registry=self.registry,
        )
