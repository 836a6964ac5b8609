"""Every metric that is declared is there, is told of in the reference, and has no label that names an object."""

from __future__ import annotations

from pathlib import Path

from octo_controller.engine.queue import RetryLaterError, WorkQueue
from octo_controller.metrics import Metrics
from octo_core.metrics_reference import page
from tests.unit.octo_controller.virtual import run_virtual

REPO = Path(__file__).parents[3]
PROCESSES = {"Controller": "octo_controller.metrics:declared", "API": "octo_api.metrics:Metrics"}
FEW = {"kind", "result", "state", "outcome", "provider", "le"}


def names(metrics: Metrics) -> set[str]:
    return {family.name for family in metrics.registry.collect()}


def test_the_reference_is_current() -> None:
    assert (REPO / "docs" / "reference" / "metrics.md").read_text() == page(PROCESSES), "run `make crds`"


def test_no_label_names_an_object_but_a_provider() -> None:
    metrics = Metrics()
    metrics.watch_provider("last_success", lambda: {"bank": 1.5})
    metrics.status_lag.labels("OctoJob").observe(1)
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    assert set().union(*(sample.labels for sample in samples)) <= FEW
    assert [sample.value for sample in samples if sample.labels == {"provider": "bank"}] == [1.5]


def test_the_queue_tells_how_long_a_key_took_and_which_keep_failing() -> None:
    took: list[tuple[str, float]] = []

    async def script() -> int:
        queue: WorkQueue[str] = WorkQueue(took=lambda key, seconds: took.append((key, seconds)))

        async def visit(key: str) -> None:
            if key == "bad":
                raise RetryLaterError("no")

        queue.start(visit, workers=1)
        queue.add("good")
        queue.add("bad")
        await queue.idle()
        failing = queue.failing
        await queue.close(timeout=1)
        return failing

    assert run_virtual(script()) == 1
    assert [key for key, _ in took] == ["good"]
