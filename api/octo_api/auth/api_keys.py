"""API keys over REST. Nobody makes, replaces or ends a key that can do more than they can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from octo_api.audit.intents import Intents
from octo_api.auth.caller import Caller
from octo_api.auth.credentials import PlainKey, new_key
from octo_api.auth.keys import KnownKeys
from octo_api.auth.service import AuthService
from octo_api.errors import ApiKeyNotFoundError, InvalidStateError
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.session import AsyncSession, Database
from octo_core.domain.errors import ForbiddenError, InvalidError

_MORE = "A key cannot have more scopes, namespaces or time than the credential that makes or changes it."


class ApiKeyService:
    """What can be done with keys. Its errors are those of the stores, and what each method says."""

    def __init__(
        self,
        database: Database,
        *,
        auth: AuthService,
        keys: KnownKeys,
        intents: Intents,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._auth = auth
        self._keys = keys
        self._intents = intents
        self._clock = clock
        self._random = random

    async def create(
        self,
        caller: Caller,
        *,
        subject: str,
        description: str,
        scopes: Sequence[str],
        namespaces: Sequence[str],
        expires_at: datetime | None,
    ) -> tuple[ApiKey, PlainKey]:
        """A new key; without an expiry it ends with the key that made it, if that ends.

        Raises ForbiddenError for more than the caller's own rights, InvalidError for an expiry in the past.
        """
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise InvalidError("the expiry lies in the past", field="/expiresAt")
        ends = expires_at or caller.delegates_until
        if not await self._auth.covers(caller, scopes, namespaces) or _outlives(ends, caller.delegates_until):
            raise ForbiddenError(_MORE)
        plain = new_key(self._random(40))
        made = ApiKey(
            id=plain.id,
            subject=subject,
            secret_hash=self._keys.hash(plain),
            scopes=tuple(dict.fromkeys(scopes)),
            namespaces=tuple(dict.fromkeys(namespaces)),
            expires_at=ends,
            description=description,
            created_at=now,
            created_by=caller.subject,
        )
        async with self._database.transaction() as session:
            await api_keys.add(session, made)
            await self._intents.within(session, resource=made.id)
        return made, plain

    async def rotate(self, caller: Caller, key_id: str, *, overlap: timedelta) -> tuple[ApiKey, PlainKey]:
        """A key that follows this one with the same rights; the old one goes on for ``overlap``.

        Raises ApiKeyNotFoundError, InvalidStateError for one that has ended, ForbiddenError for one that can
        do more than the caller.
        """
        now = self._clock()
        plain = new_key(self._random(40))
        async with self._database.transaction() as session:
            old = await self._find(session, caller, key_id, lock=True)
            if not old.usable(now):
                raise InvalidStateError("The key has expired or was revoked; make a new one.")
            await self._require_power_over(caller, old)
            made = ApiKey(
                id=plain.id,
                subject=old.subject,
                secret_hash=self._keys.hash(plain),
                scopes=old.scopes,
                namespaces=old.namespaces,
                expires_at=old.expires_at,
                description=old.description,
                created_at=now,
                created_by=caller.subject,
                rotated_from=old.id,
            )
            await api_keys.add(session, made)
            await api_keys.expire(session, old.id, at=now + overlap)
            await self._intents.within(session)
        self._keys.forget(key_id)
        return made, plain

    async def revoke(self, caller: Caller, key_id: str) -> ApiKey:
        """The key, ended at once; again it answers the same.

        Raises ApiKeyNotFoundError, or ForbiddenError for one that can do more than the caller.
        """
        now = self._clock()
        async with self._database.transaction() as session:
            key = await self._find(session, caller, key_id)
            await self._require_power_over(caller, key)
            await api_keys.revoke(session, key_id, now=now)
            await self._intents.within(session)
        self._keys.forget(key_id)
        return await self.get(caller, key_id)

    async def get(self, caller: Caller, key_id: str) -> ApiKey:
        """A key of namespaces that are the caller's. Raises ApiKeyNotFoundError."""
        async with self._database.transaction() as session:
            return await self._find(session, caller, key_id)

    async def page(
        self, caller: Caller, *, subject: str | None, after: tuple[datetime, str] | None, limit: int
    ) -> list[ApiKey]:
        """Keys of namespaces that are the caller's, the newest first."""
        async with self._database.transaction() as session:
            return await api_keys.page(
                session, namespaces=caller.visible_namespaces(), subject=subject, after=after, limit=limit
            )

    async def _find(self, session: AsyncSession, caller: Caller, key_id: str, *, lock: bool = False) -> ApiKey:
        key = await api_keys.find(session, key_id, lock=lock)
        visible = caller.visible_namespaces()
        if key is None or (visible is not None and not set(key.namespaces) <= set(visible)):
            raise ApiKeyNotFoundError(f"there is no API key {key_id}")
        return key

    async def _require_power_over(self, caller: Caller, key: ApiKey) -> None:
        if caller.key_id == key.id:
            return  # Whoever holds a key may replace or end it.
        if not await self._auth.covers(caller, key.scopes, key.namespaces) or _outlives(
            key.expires_at, caller.delegates_until
        ):
            raise ForbiddenError(_MORE)


def _outlives(ends: datetime | None, limit: datetime | None) -> bool:
    return limit is not None and (ends is None or ends > limit)
