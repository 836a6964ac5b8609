"""``/healthz``, ``/readyz`` and ``/metrics``: for the cluster, without a credential."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from octo_api.deps import ServicesDep
from octo_api.errors import Problem, response_of
from octo_api.health import OK
from octo_api.metrics import Metrics
from octo_api.routing.base import Access, BaseRouter, Responses

_METRICS: Responses = {
    200: {
        "description": "In Prometheus' text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


class OpsRouter(BaseRouter):
    """Probes and metrics."""

    prefix = ""
    tag = "operations"

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        super().__init__()

    def register_routes(self) -> None:
        self.add("GET", "/healthz", self.healthz, access=Access.PUBLIC, action="ops.healthz")
        self.add("GET", "/readyz", self.readyz, access=Access.PUBLIC, action="ops.readyz")
        self.add("GET", "/metrics", self.metrics, access=Access.PUBLIC, action="ops.metrics", answers=_METRICS)

    async def healthz(self) -> dict[str, str]:
        """The process serves requests."""
        return {"status": OK}

    async def readyz(self, services: ServicesDep, request: Request) -> Any:
        """The process can do its work; else 503, and `checks` names what is away."""
        checks = await services.health.check()
        if all(state == OK for state in checks.values()):
            return {"status": OK, "checks": checks}
        away = ", ".join(name for name, state in checks.items() if state != OK)
        problem = Problem(503, "not-ready", f"Not ready: {away}.", retryable=True, more={"checks": checks})
        return response_of(problem, request)

    async def metrics(self) -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)
