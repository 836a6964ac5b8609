"""What endpoints ask for, as annotations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from octo_api.auth.caller import Caller
from octo_api.context import RequestContext
from octo_api.services import Services
from octo_core.domain.errors import UnauthenticatedError

_api_key_header = APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", auto_error=False)
_bearer = HTTPBearer(scheme_name="Token", auto_error=False, description="A token from login.")
_worker = HTTPBearer(scheme_name="Worker", auto_error=False, description="The ServiceAccount token of a run's pod.")


def services_of(request: Request) -> Services:
    """What the lifespan made."""
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101 - the lifespan put it there
    return services


def context_of(request: Request) -> RequestContext:
    """What the middleware knows of this request."""
    return RequestContext.of(request.scope)


ServicesDep = Annotated[Services, Depends(services_of)]
ContextDep = Annotated[RequestContext, Depends(context_of)]
ApiKeyHeaderDep = Annotated[str | None, Security(_api_key_header)]


async def authenticate(
    services: ServicesDep,
    context: ContextDep,
    api_key: ApiKeyHeaderDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    """The caller of this request; raises UnauthenticatedError."""
    caller = await services.auth.authenticate(api_key=api_key, bearer=bearer.credentials if bearer else None)
    context.actor = caller.subject
    return caller


CallerDep = Annotated[Caller, Depends(authenticate)]


def reauthentication(
    services: ServicesDep,
    api_key: ApiKeyHeaderDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Callable[[], Awaitable[Caller]]:
    """Checks the credential of this request once more, for an answer that takes hours; raises as ``authenticate``."""

    async def again() -> Caller:
        return await services.auth.authenticate(api_key=api_key, bearer=bearer.credentials if bearer else None)

    return again


ReauthenticateDep = Annotated[Callable[[], Awaitable[Caller]], Depends(reauthentication)]


def worker_token(bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_worker)]) -> str:
    """The token a worker sent, still to be reviewed; raises UnauthenticatedError if there is none."""
    if bearer is None or not bearer.credentials:
        raise UnauthenticatedError("A report needs the ServiceAccount token of the run's pod.")
    return bearer.credentials


WorkerTokenDep = Annotated[str, Depends(worker_token)]
