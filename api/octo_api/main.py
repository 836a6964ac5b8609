"""The application: ``create_app(settings)``."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route

import octo_api
from octo_api.audit.log import AuditLog
from octo_api.audit.router import AuditRouter
from octo_api.auth.credentials import parse_key
from octo_api.auth.keys_router import ApiKeyRouter
from octo_api.auth.router import AuthRouter
from octo_api.console.router import ConsoleRouter
from octo_api.contract.document import document
from octo_api.errors import register_error_handlers
from octo_api.events.router import EventRouter
from octo_api.jobs.logs.router import JobLogRouter
from octo_api.jobs.parts import JobPartsRouter
from octo_api.jobs.router import JobRouter
from octo_api.ledger.router import LedgerRouter
from octo_api.lifespan import Process, serving
from octo_api.limits.clients import ClientAddresses
from octo_api.limits.middleware import LimitsMiddleware
from octo_api.metrics import Metrics
from octo_api.middleware import RequestMiddleware
from octo_api.ops.router import OpsRouter
from octo_api.providers.router import ProviderRouter
from octo_api.reports.router import ReportRouter
from octo_api.schedules.router import ScheduleRouter
from octo_api.server.drain import Drain
from octo_api.settings import ApiSettings
from octo_api.summary.router import SummaryRouter
from octo_api.verifications.router import VerificationRouter
from octo_api.webhooks.router import WebhookRouter


def utc_now() -> datetime:
    """The clock of a real process."""
    return datetime.now(UTC)


def create_app(
    settings: ApiSettings,
    *,
    clock: Callable[[], datetime] = utc_now,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> FastAPI:
    """The application; its lifespan makes and ends all it holds.

    Raises InvalidError if the first API key in the settings is malformed.
    """
    if settings.bootstrap_api_key is not None:
        parse_key(settings.bootstrap_api_key.get_secret_value())
    metrics = Metrics()
    audit = AuditLog(clock=clock, metrics=metrics)
    drain = Drain()
    process = Process(settings, clock, random, metrics, audit, drain)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serving(app, process):
            yield

    app = FastAPI(
        title="Octo",
        version=octo_api.__version__,
        description="Managed file ingestion on Kubernetes: run providers, follow their runs.",
        lifespan=lifespan,
        separate_input_output_schemas=False,
        redirect_slashes=False,
        # Both pages load scripts from elsewhere; the document is at /openapi.json.
        docs_url=None,
        redoc_url=None,
    )
    app.state.drain = drain
    # The one that is added last is outermost.
    app.add_middleware(LimitsMiddleware, settings=settings, metrics=metrics)
    app.add_middleware(
        RequestMiddleware,
        metrics=metrics,
        audit=audit,
        new_request_id=lambda: random(12).hex(),
        clients=ClientAddresses(settings.trusted_proxies),
        clock=clock,
    )
    register_error_handlers(app)
    nouns = (
        AuthRouter(),
        ApiKeyRouter(),
        ProviderRouter(),
        VerificationRouter(),
        LedgerRouter(),
        ScheduleRouter(),
        JobRouter(),
        JobPartsRouter(),
        JobLogRouter(),
        SummaryRouter(),
        EventRouter(),
        WebhookRouter(),
        ReportRouter(),
        AuditRouter(),
        OpsRouter(metrics),
    )
    app.state.routes = [route for noun in nouns for route in noun.router.routes if isinstance(route, Route)]
    # In one table. With `include_router`, each request would ask one router after the other, and the right one twice.
    app.router.routes += app.state.routes
    if settings.console_enabled:
        app.router.routes += ConsoleRouter(settings, namespace=settings.namespace).router.routes

    described: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not described:
            described.update(document(app))
        return described

    app.openapi = openapi  # type: ignore[method-assign]
    return app
