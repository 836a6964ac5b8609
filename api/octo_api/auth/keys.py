"""Finds the API key that a request carries, or that its token was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from octo_api.auth.caller import ANY
from octo_api.auth.credentials import PlainKey, hash_secret, matching_pepper, parse_key
from octo_api.auth.memory import Memory
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.session import AsyncSession, Database

BOOTSTRAP_SUBJECT = "admin"
_TOUCH_EVERY = timedelta(minutes=1)


class KnownKeys:
    """Keys in Postgres; a good one is remembered for ``remembered``, which bounds how long a revoked one goes on."""

    def __init__(
        self, database: Database, *, peppers: Sequence[str], remembered: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._peppers = tuple(peppers)
        self._clock = clock
        self._good: Memory[str, ApiKey] = Memory(clock=clock, life=remembered)

    def remembered(self, plain: PlainKey) -> ApiKey | None:
        """The key, if it was found good a short while ago, and the secret is right."""
        known = self._good.get(plain.id)
        pepper = matching_pepper(self._peppers, plain.secret, known.secret_hash if known else None)
        return known if known is not None and pepper is not None and known.usable(self._clock()) else None

    async def check(self, plain: PlainKey) -> ApiKey | None:
        """The key, if there is such a one, it is in use, and the secret is right. Raises DatabaseUnavailableError.

        The same statement and the same hashes, whatever of that is not so.
        """
        now = self._clock()
        async with self._database.transaction() as session:
            key = await api_keys.find(session, plain.id)
            pepper = matching_pepper(self._peppers, plain.secret, key.secret_hash if key else None)
            if key is None or pepper is None or not key.usable(now):
                return None
            if pepper != self._peppers[0]:
                await api_keys.rehash(session, key.id, old=key.secret_hash, new=self.hash(plain))
            await self._touch(session, key, now)
        self._good.put(key.id, key)
        return key

    async def in_use(self, key_id: str) -> ApiKey | None:
        """The key of that id, if it is in use; for tokens, which were made from it. Raises DatabaseUnavailableError."""
        now = self._clock()
        key = self._good.get(key_id)
        if key is None:
            async with self._database.transaction() as session:
                key = await api_keys.find(session, key_id)
                if key is None or not key.usable(now):
                    return None
                await self._touch(session, key, now)
            self._good.put(key_id, key)
        return key if key.usable(now) else None

    async def put_first(self, text: str) -> None:
        """Make sure that this key exists, with every right. Raises InvalidError if it is malformed."""
        plain = parse_key(text)
        key = ApiKey(plain.id, BOOTSTRAP_SUBJECT, self.hash(plain), (ANY,), (ANY,), created_at=self._clock())
        async with self._database.transaction() as session:
            await api_keys.put(session, key)

    def hash(self, plain: PlainKey) -> str:
        """What is stored of a key's secret."""
        return hash_secret(self._peppers[0], plain.secret)

    def forget(self, key_id: str) -> None:
        """Look the key up the next time, since it was changed."""
        self._good.drop(key_id)

    async def _touch(self, session: AsyncSession, key: ApiKey, now: datetime) -> None:
        if key.last_used_at is None or now - key.last_used_at > _TOUCH_EVERY:
            await api_keys.touch(session, key.id, now=now, at_most_every=_TOUCH_EVERY)
