"""Checks the credential of each request against Postgres, so that a revocation works at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import SecretStr

from octo_api.auth.caller import ANY, Caller
from octo_api.auth.credentials import (
    TokenClaims,
    hash_secret,
    issue_token,
    parse_key,
    secret_matches,
    verify_token,
)
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.session import Database
from octo_core.domain.errors import InvalidError, UnauthenticatedError

BOOTSTRAP_SUBJECT = "admin"
_TOUCH_EVERY = timedelta(minutes=1)
_REFUSED = "The credential is missing, unknown, expired or revoked."


class AuthService:
    """API keys and the tokens made from them. All refusals look alike to the caller."""

    def __init__(
        self,
        database: Database,
        *,
        pepper: SecretStr,
        signing_key: SecretStr,
        token_ttl: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._pepper = pepper.get_secret_value()
        self._signing_key = signing_key.get_secret_value()
        self._token_ttl = token_ttl
        self._clock = clock

    async def authenticate(self, *, api_key: str | None, bearer: str | None) -> Caller:
        """The caller that a request's credentials stand for, of which the API key comes first.

        Raises UnauthenticatedError, or DatabaseUnavailableError when the keys cannot be read.
        """
        if api_key is not None:
            return _caller_of(await self._check_key(api_key))
        if bearer is not None:
            return await self._check_token(bearer)
        raise UnauthenticatedError(_REFUSED)

    async def login(self, api_key: str | None) -> tuple[str, TokenClaims]:
        """A short-lived token with the rights of an API key. Raises as ``authenticate`` does."""
        if api_key is None:
            raise UnauthenticatedError(_REFUSED)
        key = await self._check_key(api_key)
        return issue_token(
            self._signing_key,
            subject=key.subject,
            key_id=key.id,
            scopes=key.scopes,
            namespaces=key.namespaces,
            now=self._clock(),
            ttl=self._token_ttl,
        )

    async def put_bootstrap_key(self, text: str) -> None:
        """Make sure that this key exists, with every right. Raises InvalidError if it is malformed."""
        plain = parse_key(text)
        key = ApiKey(plain.id, BOOTSTRAP_SUBJECT, hash_secret(self._pepper, plain.secret), (ANY,), (ANY,))
        async with self._database.transaction() as session:
            await api_keys.put(session, key)

    async def _check_key(self, text: str) -> ApiKey:
        try:
            plain = parse_key(text)
        except InvalidError as error:
            raise UnauthenticatedError(_REFUSED) from error
        now = self._clock()
        async with self._database.transaction() as session:
            key = await api_keys.find(session, plain.id)
            matches = secret_matches(self._pepper, plain.secret, key.secret_hash if key else None)
            if key is None or not matches or not key.usable(now):
                raise UnauthenticatedError(_REFUSED)
            if key.last_used_at is None or now - key.last_used_at > _TOUCH_EVERY:
                await api_keys.touch(session, key.id, now=now, at_most_every=_TOUCH_EVERY)
        return key

    async def _check_token(self, token: str) -> Caller:
        now = self._clock()
        try:
            claims = verify_token(self._signing_key, token, now=now)
        except UnauthenticatedError as error:
            raise UnauthenticatedError(_REFUSED) from error
        async with self._database.transaction() as session:
            key = await api_keys.find(session, claims.key_id)
        if key is None or not key.usable(now):
            raise UnauthenticatedError(_REFUSED)
        return Caller(
            subject=claims.subject,
            key_id=claims.key_id,
            scopes=frozenset(claims.scopes),
            namespaces=frozenset(claims.namespaces),
            expires_at=claims.expires_at,
        )


def _caller_of(key: ApiKey) -> Caller:
    return Caller(
        subject=key.subject,
        key_id=key.id,
        scopes=frozenset(key.scopes),
        namespaces=frozenset(key.namespaces),
        expires_at=key.expires_at,
    )
