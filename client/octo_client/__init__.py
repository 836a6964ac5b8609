"""Typed client of the Octo REST API. Models and methods are made from its OpenAPI document."""

from octo_client import models
from octo_client.client import AsyncClient, Client
from octo_client.errors import OctoError, ProblemError, UnreachableError
from octo_client.requests import Retries
from octo_client.streams import ServerEvent

__all__ = ["AsyncClient", "Client", "OctoError", "ProblemError", "Retries", "ServerEvent", "UnreachableError", "models"]
