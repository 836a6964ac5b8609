"""Rules that hold for all routes, read from the application itself: a new one without a rule fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from octo_api.auth.caller import Caller, Scope
from octo_api.auth.service import Presented
from octo_api.context import RequestContext
from octo_api.main import create_app
from octo_api.settings import ApiSettings
from octo_core.domain.errors import ForbiddenError, InvalidError, UnauthenticatedError

OPEN = {"GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json", "POST /v1/auth/login", "GET /v1/auth/jwks"}
WORKERS = {"POST /v1/reports/{uid}"}


def make_app(**settings: Any) -> FastAPI:
    return create_app(
        ApiSettings(
            database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
            api_key_pepper=SecretStr("p" * 32),
            token_signing_key=SecretStr("s" * 32),
            **settings,
        )
    )


# One for all: making it takes longer than what is asked of it, and what is refused leaves nothing behind in it.
APP = make_app()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in APP.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


OPERATIONS = list(operations())
PROBLEMS = APP.openapi()["components"]["responses"]
GUARDED = [(method, path) for method, path, _ in OPERATIONS if f"{method} {path}" not in OPEN]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_no_credential_no_entry(method: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without services: what is refused has touched nothing."""

    class Refusing:
        class auth:  # noqa: N801 - stands for the attribute
            @staticmethod
            async def authenticate(presented: Presented, *, scope: str | None) -> Caller:
                assert (presented.api_key, presented.bearer) == (None, None)
                raise UnauthenticatedError("no")

    monkeypatch.setattr(APP.state, "services", Refusing, raising=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://api") as client:
        answer = await client.request(method, re.sub(r"{\w+}", "x", path))
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_security_and_errors_are_documented(method: str, path: str, operation: dict[str, Any]) -> None:
    name = f"{method} {path}"
    schemes = {scheme for entry in operation.get("security", ()) for scheme in entry}
    if name in WORKERS:
        assert schemes == {"Worker"}
    elif name not in OPEN:
        assert schemes == {"ApiKey", "Token"}
        assert {"401", "403"} <= operation["responses"].keys()
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            assert response == {"$ref": f"#/components/responses/{status}"}, (name, status)
            assert list(PROBLEMS[status]["content"]) == ["application/problem+json"]
    assert operation["tags"]
    assert operation["summary"]


def test_the_document_is_whole() -> None:
    document = APP.openapi()
    assert document["openapi"].startswith("3.1")
    names = document["components"]["schemas"].keys()
    assert set(re.findall(r"#/components/schemas/([\w-]+)", str(document))) <= names
    assert "HTTPValidationError" not in names


async def test_a_malformed_first_key_stops_the_start() -> None:
    with pytest.raises(InvalidError):
        make_app(bootstrap_api_key=SecretStr("octo_wrong"))


def test_a_caller_may_do_what_its_key_says() -> None:
    caller = Caller("ops", "k", frozenset({"jobs:read"}), frozenset({"octo"}), None)
    caller.require(Scope.JOBS_READ)
    caller.require_namespace("octo")
    with pytest.raises(ForbiddenError):
        caller.require(Scope.JOBS_CREATE)
    with pytest.raises(ForbiddenError):
        caller.require_namespace("other")
    assert caller.visible_namespaces() == ("octo",)
    root = Caller("root", "k", frozenset({"*"}), frozenset({"*"}), None)
    for scope in Scope:
        root.require(scope)
    assert root.may_use("other")
    assert root.visible_namespaces() is None


def test_a_request_has_one_context() -> None:
    scope: dict[str, Any] = {}
    context = RequestContext("r", None)
    assert RequestContext.current() is None
    with context.attached(scope):
        assert RequestContext.of(scope) is context
        assert RequestContext.current() is context
    assert RequestContext.current() is None
