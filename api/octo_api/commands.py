"""The commands beside ``serve``: each needs Postgres, or the cluster, and not both."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic

from octo_api.auth.caller import ANY, Scope
from octo_api.auth.credentials import PlainKey, hash_secret, new_key
from octo_api.auth.settings import KeySettings
from octo_core.crd.definitions import octojobs, octoproviders
from octo_core.db import api_keys, migrate
from octo_core.db.api_keys import ApiKey
from octo_core.db.session import Database
from octo_core.domain.errors import DatabaseUnavailableError, InvalidError, NotFoundError
from octo_core.domain.releases import ANNOTATION, may_replace
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import CRDS
from octo_core.settings import DatabaseSettings

_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_expiry(text: str, *, now: datetime) -> datetime:
    """``90d``, ``12h``, ``30m``, or an RFC 3339 time in the future. Raises InvalidError."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now + int(span[1]) * _UNITS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError("an expiry is a span such as 90d, 12h or 30m, or an RFC 3339 time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment <= now:
        raise InvalidError("the expiry lies in the past")
    return moment


def check_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """The scopes, if each is one. Raises InvalidError."""
    known = {ANY, *Scope}
    unknown = sorted(set(scopes) - known)
    if unknown:
        raise InvalidError(f"no such scope: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return tuple(dict.fromkeys(scopes))


async def upgrade_schema(settings: DatabaseSettings, *, wait_seconds: float) -> str:
    """Bring the schema to the newest version, waiting for Postgres to come up; returns the version that it then has.

    Raises DatabaseUnavailableError when it does not come in time.
    """
    database = Database(settings, application_name="octo-api-migrate")
    deadline = monotonic() + wait_seconds
    try:
        while True:
            try:
                await database.ready()
                break
            except DatabaseUnavailableError:
                if monotonic() >= deadline:
                    raise
                await asyncio.sleep(0.5)
    finally:
        await database.close()
    await migrate.upgrade(settings)
    return await migrate.current(settings) or ""


async def apply_crds(kubeconfig: str | None) -> list[str]:
    """Make the custom resource definitions what this version says, whoever wrote them; returns what became of each.

    Those of a newer release stay: the fields that it added may be in use. Needs the rights to get and patch them alone
    where they are there already, as Helm's crds/ makes them.
    """
    told: list[str] = []
    async with await KubeClient.connect(kubeconfig) as client:
        for definition in (octojobs(), octoproviders()):
            name = definition["metadata"]["name"]
            mine = definition["metadata"]["annotations"][ANNOTATION]
            stored = await _stamp(client, name)
            if not may_replace(mine, stored):
                told.append(f"{name} left as it is, of version {stored}; this is {mine}")
                continue
            await client.patch(CRDS, None, name, definition, kind="apply", field_manager="octo")
            told.append(f"{name} applied")
    return told


async def _stamp(client: KubeClient, name: str) -> str | None:
    try:
        found = await client.get(CRDS, None, name)
    except NotFoundError:
        return None
    stamp: str | None = found["metadata"].get("annotations", {}).get(ANNOTATION)
    return stamp


async def create_key(
    settings: KeySettings,
    *,
    subject: str,
    scopes: tuple[str, ...],
    namespaces: tuple[str, ...],
    expires_at: datetime | None,
    random: bytes,
) -> PlainKey:
    """Store a new key and return it; this is the only time that its secret is known."""
    plain = new_key(random)
    key = ApiKey(
        id=plain.id,
        subject=subject,
        secret_hash=hash_secret(settings.api_key_pepper.get_secret_value(), plain.secret),
        scopes=scopes,
        namespaces=namespaces,
        expires_at=expires_at,
    )
    database = Database(settings, application_name="octo-api-create-key")
    try:
        async with database.transaction() as session:
            await api_keys.put(session, key)
    finally:
        await database.close()
    return plain


async def revoke_key(settings: DatabaseSettings, key: str, *, now: datetime) -> str:
    """End a key's life, effective at once; ``key`` is its id or its whole text. Returns the id.

    Raises NotFoundError if no key of that id is in use.
    """
    key_id = key.split("_")[1] if key.startswith("octo_") else key
    database = Database(settings, application_name="octo-api-revoke-key")
    try:
        async with database.transaction() as session:
            revoked = await api_keys.revoke(session, key_id, now=now)
    finally:
        await database.close()
    if not revoked:
        raise NotFoundError(f"no key {key_id} is in use")
    return key_id
