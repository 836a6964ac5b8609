"""Which scope each route asks for, read from the OpenAPI document: a new route without a rule fails here."""

from __future__ import annotations

import pytest

from octo_api.auth.caller import Scope
from octo_api.routing.base import SCOPE_EXTENSION
from tests.unit.octo_api.test_routes import OPEN, OPERATIONS, WORKERS

ANY_CALLER = {"GET /v1/auth/verify", "POST /v1/auth/renew"}

NOUNS = {
    "jobs": {"jobs", "logs", "providers"},
    "events": {"jobs"},
    "providers": {"providers", "jobs"},
    "schedules": {"providers", "jobs"},
    "ledger": {"providers"},
    "webhooks": {"webhooks"},
    "api-keys": {"keys"},
    "audit": {"audit"},
}
"""Nouns of scopes that open the routes of a tag."""


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_route_has_a_rule(method: str, path: str, operation: dict[str, object]) -> None:
    name = f"{method} {path}"
    scope = operation.get(SCOPE_EXTENSION)
    if name in OPEN | WORKERS | ANY_CALLER:
        assert scope is None
        return
    assert scope in set(Scope), f"{name} asks for no scope: say which, or name it among those for everybody"
    noun, verb = str(scope).split(":")
    tags = operation["tags"]
    assert isinstance(tags, list)
    assert noun in NOUNS.get(str(tags[0]), {noun}), name
    # Reading never opens what changes something, and who may only look needs no right to change.
    assert (verb == "read") == (method == "GET"), name


def test_every_scope_opens_something() -> None:
    used = {operation.get(SCOPE_EXTENSION) for _, _, operation in OPERATIONS}
    # Those whose routes are still to come are few, and named.
    assert set(Scope) - used <= {Scope.JOBS_UPDATE, Scope.LOGS_READ, Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE}
