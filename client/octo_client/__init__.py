"""Typed client of the Octo REST API. Models and methods are made from its OpenAPI document.

Its parts are imported when they are first named: whoever only wants the models pays for no HTTP library.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octo_client import models
    from octo_client.client import AsyncClient, Client
    from octo_client.errors import OctoError, ProblemError, UnreachableError
    from octo_client.requests import Retries
    from octo_client.streams import ServerEvent

__all__ = ["AsyncClient", "Client", "OctoError", "ProblemError", "Retries", "ServerEvent", "UnreachableError", "models"]

_HOMES = {
    "AsyncClient": "client",
    "Client": "client",
    "OctoError": "errors",
    "ProblemError": "errors",
    "Retries": "requests",
    "ServerEvent": "streams",
    "UnreachableError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    value = getattr(module, name) if name in _HOMES else module
    globals()[name] = value
    return value
