"""The health port and the metrics behind it."""

from __future__ import annotations

import aiohttp
import pytest

from octo_controller.health import HealthServer, health_app
from octo_controller.metrics import Metrics
from octo_core.domain.status import State


@pytest.mark.parametrize(("wrong", "code"), [(None, 200), ("nothing heard for 2000 s", 503)])
async def test_a_probe_says_what_is_wrong(wrong: str | None, code: int) -> None:
    app = health_app(Metrics(), live={"watch": lambda: wrong}, ready={"sync": lambda: wrong})
    async with HealthServer(app, host="127.0.0.1", port=0) as server, aiohttp.ClientSession() as client:
        for path, name in (("livez", "watch"), ("readyz", "sync")):
            async with client.get(f"http://127.0.0.1:{server.port}/{path}") as response:
                assert response.status == code
                body = await response.json()
                assert body == ({"status": "fail", name: wrong} if wrong else {"status": "ok"})


async def test_metrics_are_prometheus_text_without_names_of_objects() -> None:
    metrics = Metrics()
    metrics.watch("queue_depth", lambda: 3)
    metrics.watch_states(lambda: dict.fromkeys(State, 2))
    with metrics.reconcile("OctoJob") as done:
        done("ok")
    with pytest.raises(ValueError, match="broken"), metrics.reconcile("OctoJob"):
        raise ValueError("broken")
    app = health_app(metrics, live={}, ready={})
    async with (
        HealthServer(app, host="127.0.0.1", port=0) as server,
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{server.port}/metrics") as response,
    ):
        text = await response.text()
    for line in (
        "octo_controller_queue_depth 3.0",
        'octo_controller_jobs{state="Running"} 2.0',
        'octo_controller_reconcile_total{kind="OctoJob",result="ok"} 1.0',
        'octo_controller_reconcile_total{kind="OctoJob",result="error"} 1.0',
    ):
        assert line in text
