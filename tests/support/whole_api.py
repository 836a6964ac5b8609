"""The api as a process over a Postgres and an API server that are real, with a caller who may do everything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from octo_core.settings import DatabaseSettings
from tests.support.api_process import ApiProcess, api_process
from tests.support.control_plane import ControlPlane

ACCOUNT = "everything"


@dataclass(frozen=True, slots=True)
class WholeApi:
    """A running api and what stands behind it."""

    process: ApiProcess
    plane: ControlPlane
    namespace: str
    token: str
    """Of a ServiceAccount with every right over REST, which no request can take away."""
    log: Path

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.process.url


@asynccontextmanager
async def whole_api(
    plane: ControlPlane, database: DatabaseSettings, folder: Path, *, namespace: str, pepper: str, **settings: object
) -> AsyncIterator[WholeApi]:
    """Make the namespace and start an api on it, without limits on how often it may be asked."""
    kubectl = plane.kubectl(namespace)
    kubectl("create", "namespace", namespace)
    kubectl("create", "serviceaccount", ACCOUNT)
    token = kubectl("create", "token", ACCOUNT, "--audience", "octo", "--duration", "10h").strip()
    binding = {"users": [f"system:serviceaccount:{namespace}:{ACCOUNT}"], "scopes": ["*"], "namespaces": ["*"]}
    log = folder / "api.log"
    async with api_process(
        database_url=database.database_url.get_secret_value(),
        kubeconfig=plane.kubeconfig,
        pepper=pepper,
        log=log,
        **{
            "namespace": namespace,
            "auth_bindings": json.dumps([binding]),
            "failed_logins_per_minute": 0,
            "rate_limit_requests": 0,
            **settings,
        },
    ) as process:
        yield WholeApi(process, plane, namespace, token, log)
