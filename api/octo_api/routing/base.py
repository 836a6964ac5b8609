"""The base of all routers: one place for prefix, tag, error answers and who may call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.datastructures import Default
from fastapi.params import Depends as DependsParam
from fastapi.responses import JSONResponse

from octo_api.auth.caller import Scope
from octo_api.context import RequestContext
from octo_api.deps import PresentedDep, authenticate
from octo_api.errors import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

SCOPE_EXTENSION = "x-required-scope"
"""In OpenAPI: the scope that a caller has to have."""

_EVERY = (422, 429, 431, 500, 503)
_GUARDED = (401, 403)
_WITH_BODY = (408, 413)
_BODILESS = ("GET", "HEAD", "DELETE")


class Access(Enum):
    """For routes that need no particular scope."""

    PUBLIC = "public"
    """Checks its credential itself, or needs none."""
    AUTHENTICATED = "authenticated"
    """Any valid credential."""


class BaseRouter(ABC):
    """A noun of the API. A subclass names its prefix and tag, and adds its routes in ``register_routes``."""

    prefix: ClassVar[str]
    tag: ClassVar[str]

    def __init__(self) -> None:
        self.router = APIRouter(prefix=self.prefix, tags=[self.tag], redirect_slashes=False)
        self.register_routes()

    @abstractmethod
    def register_routes(self) -> None:
        """Call ``add`` for each route."""

    def add(
        self,
        method: str,
        path: str,
        endpoint: Callable[..., Any],
        *,
        access: Access | Scope,
        action: str,
        status: int = 200,
        errors: Iterable[int] = (),
        mutates: bool | None = None,
        model: Any = None,
        answers: Responses | None = None,
    ) -> None:
        """Add a route. It has to say who may call it, and what it is called in the audit log.

        ``model`` describes the answer of an endpoint that returns a finished Response, and ``answers`` what else
        it may answer, by status, as OpenAPI has it; without a model, that is all there is under such a status.
        ``errors`` are the statuses it answers besides those that every route of its kind may (401 and 403
        for a guarded one, 408 and 413 for one that takes a body, and 422, 429, 431, 500, 503); what is
        not a GET ``mutates`` and is audited, unless said otherwise.
        """
        told = model is None and "content" in (answers or {}).get(status, {})
        self.router.add_api_route(
            path,
            endpoint,
            methods=[method],
            status_code=status,
            response_model=Default(None) if model is None else model,
            response_class=Response if told else Default(JSONResponse),
            operation_id=action.replace(".", "_"),
            responses={**problem_responses([*errors, *_EVERY, *_common_errors(method, access)]), **(answers or {})},
            openapi_extra={SCOPE_EXTENSION: access.value} if isinstance(access, Scope) else None,
            dependencies=_dependencies(access, action, mutates if mutates is not None else method != "GET"),
        )


def _common_errors(method: str, access: Access | Scope) -> tuple[int, ...]:
    guarded = () if access is Access.PUBLIC else _GUARDED
    return guarded if method in _BODILESS else (*guarded, *_WITH_BODY)


def problem_responses(statuses: Iterable[int]) -> Responses:
    """OpenAPI's description of these error answers."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in sorted(set(statuses))}


def _dependencies(access: Access | Scope, action: str, mutates: bool) -> Sequence[DependsParam]:
    scope = access if isinstance(access, Scope) else None

    async def announce(request: Request) -> None:
        context = RequestContext.of(request.scope)
        context.action, context.mutates, context.scope = action, mutates, scope

    async def admit(request: Request, credentials: PresentedDep) -> None:
        # Announced first, so that a refusal's audit row tells what was refused.
        await announce(request)
        caller = await authenticate(request, credentials)
        if scope is not None:
            caller.require(scope)

    return [Depends(announce if access is Access.PUBLIC else admit)]
