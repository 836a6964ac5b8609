"""Around every request: its id, its log context, metrics, audit, and the last answer to a failure."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from octo_api.audit.log import GONE_AWAY, AuditLog
from octo_api.context import RequestContext
from octo_api.errors import INTERNAL, response_of
from octo_api.limits.buckets import Buckets
from octo_api.limits.clients import ClientAddresses, limit_key
from octo_api.metrics import Metrics
from octo_core.domain.errors import OctoError
from octo_core.telemetry import log_context

logger = logging.getLogger(__name__)

TOO_MANY = 429
REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestMiddleware:
    """Outermost of ours: nothing leaves the application but through here."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        audit: AuditLog,
        new_request_id: Callable[[], str],
        clients: ClientAddresses,
        clock: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._audit = audit
        self._new_request_id = new_request_id
        self._clients = clients
        self._told = Buckets(size=1, fill_seconds=60, clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID_HEADER, "")
        peer = scope.get("client")
        context = RequestContext(
            # Someone else's id goes into our logs only if it can do no harm there.
            request_id=given if _REQUEST_ID.fullmatch(given) else self._new_request_id(),
            client=self._clients.of(peer[0] if peer else None, headers.getlist("X-Forwarded-For")),
        )
        with context.attached(scope), log_context(request_id=context.request_id):
            await self._serve(scope, receive, send, context)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, context: RequestContext) -> None:
        status = 0
        began = perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = context.request_id
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
                if context.mutates and (status != TOO_MANY or self._is_told(context)):
                    # Before the answer, so that whoever has one finds what they did in the audit log.
                    await self._audit.keep(context, status)
                await context.written()
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:
            if status and isinstance(error, OctoError):
                logger.info("an answer was cut off", extra={"code": error.code, "cause": error.detail})
            else:
                logger.exception("unexpected error")
            if status:
                # Half an answer is out: cutting the connection is the only way left to say that it failed.
                raise
            await response_of(INTERNAL, Request(scope))(scope, receive, note)
        finally:
            if context.mutates and not status:
                self._audit.note(context, GONE_AWAY)
            self._account(scope, context, status or GONE_AWAY, perf_counter() - began)

    def _is_told(self, context: RequestContext) -> bool:
        """Whether a refusal for asking too often gets a row: one a minute of each caller, or address of who is none,
        so that nobody fills the audit log with being refused."""
        return self._told.take(context.actor or limit_key(context.client)).allowed

    def _account(self, scope: Scope, context: RequestContext, status: int, seconds: float) -> None:
        # The template of the route, so that ids neither leak into metrics nor multiply them.
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if route != "unmatched" else "any"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(method, route).observe(seconds)
        if not context.mutates and status in (401, 403):
            self._audit.note(context, status)
