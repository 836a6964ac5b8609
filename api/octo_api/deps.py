"""What endpoints ask for, as annotations.

All of it is `async`, though most waits for nothing: FastAPI gives any other function to a thread, at several times
its cost. And it asks for little in turn: what a dependency depends on is gone through wherever the dependency is
named, though its value is made once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from octo_api.auth.caller import Caller
from octo_api.auth.service import Presented
from octo_api.context import RequestContext
from octo_api.errors import RateLimitedError
from octo_api.services import Services
from octo_core.domain.errors import UnauthenticatedError

_api_key_header = APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", auto_error=False)
_bearer = HTTPBearer(
    scheme_name="Token",
    auto_error=False,
    description="A token from login, of a Kubernetes ServiceAccount, or from OpenID Connect.",
)
_worker = HTTPBearer(scheme_name="Worker", auto_error=False, description="The ServiceAccount token of a run's pod.")


async def services_of(request: Request) -> Services:
    """What the lifespan made."""
    services: Services = request.app.state.services
    return services


async def context_of(request: Request) -> RequestContext:
    """What the middleware knows of this request."""
    return RequestContext.of(request.scope)


ServicesDep = Annotated[Services, Depends(services_of)]
ContextDep = Annotated[RequestContext, Depends(context_of)]
ApiKeyHeaderDep = Annotated[str | None, Security(_api_key_header)]


async def presented(
    request: Request,
    api_key: ApiKeyHeaderDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Presented:
    """The credentials of this request, still to be checked."""
    return Presented(api_key, bearer.credentials if bearer else None, RequestContext.of(request.scope).client)


PresentedDep = Annotated[Presented, Depends(presented)]


async def authenticate(request: Request, credentials: Presented) -> Caller:
    """The caller of this request; raises UnauthenticatedError, or RateLimitedError for one that asks too often."""
    services, context = await services_of(request), RequestContext.of(request.scope)
    caller = await services.auth.authenticate(credentials, scope=context.scope)
    context.caller, context.actor = caller, caller.subject
    if services.callers is not None:
        context.allowance = services.callers.take(caller.subject)
        if not context.allowance.allowed:
            raise RateLimitedError(
                "This caller asks too often; see the RateLimit headers.", retry_after=context.allowance.retry_seconds
            )
    return caller


async def caller_of(request: Request) -> Caller:
    """The caller of this request, whom its route has let in."""
    caller = RequestContext.of(request.scope).caller
    assert caller is not None, "a public route has no caller"  # noqa: S101 - nobody is let in by mistake
    return caller


CallerDep = Annotated[Caller, Depends(caller_of)]


async def reauthentication(request: Request, credentials: PresentedDep) -> Callable[[], Awaitable[Caller]]:
    """Checks the credential of this request once more, for an answer that takes hours; raises as ``authenticate``."""
    services, context = await services_of(request), RequestContext.of(request.scope)

    async def again() -> Caller:
        return await services.auth.authenticate(credentials, scope=context.scope)

    return again


ReauthenticateDep = Annotated[Callable[[], Awaitable[Caller]], Depends(reauthentication)]


async def worker_token(bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_worker)]) -> str:
    """The token a worker sent, still to be reviewed; raises UnauthenticatedError if there is none."""
    if bearer is None or not bearer.credentials:
        raise UnauthenticatedError("A report needs the ServiceAccount token of the run's pod.")
    return bearer.credentials


WorkerTokenDep = Annotated[str, Depends(worker_token)]
