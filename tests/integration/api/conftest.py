"""The application over a real Postgres and a fake Kubernetes API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from pydantic import SecretStr

from octo_api.auth.credentials import PlainKey, hash_secret, new_key
from octo_api.main import create_app
from octo_api.settings import ApiSettings
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.support.api_process import ApiProcess, api_process
from tests.support.fake_kube import FakeKube, fake_kube

PEPPER = "p" * 32
# Seconds until a start or an end of the application counts as hung: a busy machine may stall for some.
PATIENCE = 240
JOBS = "/apis/octo.dev/v1alpha1/namespaces/octo/octojobs"
PROVIDERS = "/apis/octo.dev/v1alpha1/namespaces/octo/octoproviders"

PROVIDER_SPEC = {
    "source": {
        "sftp": {
            "host": "sftp.example",
            "username": "octo",
            "credentialsSecretRef": {"name": "sftp"},
            "hostKeys": ["sftp.example ssh-ed25519 AAAA"],
        }
    },
    "destination": {"s3": {"bucket": "landing"}},
}


@dataclass(slots=True)
class Clock:
    """A clock that tests move."""

    offset: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass(slots=True)
class Keys:
    """Makes API keys of a database."""

    database: Database
    made: int = 0

    async def make(
        self,
        *scopes: str,
        namespaces: tuple[str, ...] = ("*",),
        subject: str = "tester",
        expires_at: datetime | None = None,
    ) -> PlainKey:
        """A key with these scopes, or with all if none is named."""
        self.made += 1
        plain = new_key(self.made.to_bytes(2, "big") + bytes(range(38)))
        key = ApiKey(plain.id, subject, hash_secret(PEPPER, plain.secret), scopes or ("*",), namespaces, expires_at)
        async with self.database.transaction() as session:
            await api_keys.put(session, key)
        return plain


@dataclass(slots=True)
class Api:
    """A running application and clients for it."""

    app: FastAPI
    keys: Keys
    clock: Clock
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, key: PlainKey | None = None, **headers: str) -> httpx.AsyncClient:
        """A client that sends the key."""
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://api",
            headers={**({"X-API-Key": key.text} if key else {}), **headers},
        )
        self.clients.append(client)
        return client


StartApi = Callable[..., Coroutine[Any, Any, Api]]
StartProcess = Callable[..., Coroutine[Any, Any, ApiProcess]]


@pytest.fixture
async def kube() -> AsyncIterator[FakeKube]:
    async with fake_kube() as fake:
        fake.put(f"{PROVIDERS}/acme", {"spec": PROVIDER_SPEC})
        yield fake


@pytest.fixture
async def start_api(
    database_settings: DatabaseSettings, database: Database, kube: FakeKube, tmp_path: Path
) -> AsyncIterator[StartApi]:
    """Starts applications on one database and one cluster; settings may be overridden."""
    managers: list[LifespanManager] = []
    clients: list[httpx.AsyncClient] = []

    async def start(**settings: Any) -> Api:
        clock = Clock()
        values = {
            "database_url": database_settings.database_url,
            "kubeconfig": str(kube.write_kubeconfig(tmp_path / "kubeconfig")),
            "namespace": "octo",
            "api_key_pepper": SecretStr(PEPPER),
            "token_signing_key": SecretStr("s" * 32),
            "sweep_interval_seconds": 3600,
            "log_archive_interval_seconds": 3600,
            "progress_interval_seconds": 0,
            **settings,
        }
        app = create_app(ApiSettings(**values), clock=clock)
        manager = LifespanManager(app, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE)
        await manager.__aenter__()
        managers.append(manager)
        return Api(app, Keys(database), clock, clients)

    yield start
    for client in clients:
        await client.aclose()
    for manager in managers:
        await manager.__aexit__()


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    return await start_api()


@pytest.fixture
async def admin(api: Api) -> httpx.AsyncClient:
    """A client that may do everything."""
    return api.client(await api.keys.make())


@pytest.fixture
async def start_process(
    database_settings: DatabaseSettings, kube: FakeKube, tmp_path: Path
) -> AsyncIterator[StartProcess]:
    """Starts processes of the api on one database."""
    async with AsyncExitStack() as stack:
        kubeconfig = kube.write_kubeconfig(tmp_path / "kubeconfig")

        async def start(**settings: object) -> ApiProcess:
            return await stack.enter_async_context(
                api_process(
                    database_url=database_settings.database_url.get_secret_value(),
                    kubeconfig=kubeconfig,
                    pepper=PEPPER,
                    log=tmp_path / "api.log",
                    **settings,
                )
            )

        yield start


@pytest.fixture
async def keys(database: Database) -> Keys:
    """Makes API keys of that database."""
    return Keys(database)
