"""Who makes a request: each kind of credential is handed to what can check it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from octo_api.auth import tokens
from octo_api.auth.bindings import Rights
from octo_api.auth.caller import ANY, Caller, Scope
from octo_api.auth.credentials import parse_key
from octo_api.auth.identity import Identity
from octo_api.auth.keyring import KeyRing
from octo_api.auth.keys import KnownKeys
from octo_api.auth.memory import Memory
from octo_api.auth.oidc import OpenIdConnect
from octo_api.auth.service_accounts import ServiceAccounts
from octo_api.auth.throttle import FailedLogins
from octo_api.auth.tokens import TokenClaims
from octo_core.db.api_keys import ApiKey
from octo_core.domain.errors import ForbiddenError, InvalidError, UnauthenticatedError

_PROVEN = timedelta(hours=1)
_REFUSED = "The credential is missing, unknown, expired or revoked."


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request carries, and where it comes from. ``repr`` shows no secret."""

    api_key: str | None
    bearer: str | None
    client: str | None

    def __repr__(self) -> str:
        return f"Presented(client={self.client!r})"


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, what it says, and until when it can be renewed. ``repr`` shows no secret."""

    text: str
    claims: TokenClaims
    session_ends_at: datetime

    def __repr__(self) -> str:
        return f"Issued(claims={self.claims!r})"


class AuthService:
    """API keys, the tokens made from them, ServiceAccounts and OIDC users. All refusals look alike to the caller."""

    def __init__(
        self,
        *,
        keys: KnownKeys,
        ring: KeyRing,
        service_accounts: ServiceAccounts,
        oidc: OpenIdConnect | None,
        rights: Rights,
        failed: FailedLogins,
        token_ttl: timedelta,
        session: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._keys = keys
        self._ring = ring
        self._service_accounts = service_accounts
        self._oidc = oidc
        self._rights = rights
        self._failed = failed
        self._token_ttl = token_ttl
        self._session = session
        self._clock = clock
        self._proven: Memory[bytes, bool] = Memory(clock=clock, life=_PROVEN)

    async def authenticate(self, presented: Presented, *, scope: str | None) -> Caller:
        """The caller that a request's credentials stand for, of which the API key comes first.

        ``scope`` is what the route asks for; None resolves all scopes. Raises UnauthenticatedError,
        RateLimitedError after too many failures, or the error of a store or authority that is away.
        """
        if presented.api_key is not None:
            return _caller_of(await self._check_key(presented.api_key, presented.client))
        proof = _digest(presented.bearer or "")
        self._check_failures(presented.client, proof)
        try:
            if presented.bearer is None:
                raise UnauthenticatedError(_REFUSED)
            caller = await self._check_bearer(presented.bearer, scope)
        except UnauthenticatedError as error:
            self._proven.drop(proof)
            self._failed.note(presented.client)
            # What exactly is wrong with it stays in the log.
            raise UnauthenticatedError(_REFUSED) from error
        self._proven.put(proof, True)
        return caller

    async def login(self, presented: Presented) -> Issued:
        """A short-lived token with the rights of the API key. Raises as ``authenticate`` does."""
        key = await self._check_key(presented.api_key, presented.client)
        return await self._issue(key, logged_in_at=self._clock())

    async def renew(self, presented: Presented) -> Issued:
        """Another token for one from login that has not expired, with the rights that its API key has now.

        It ends with the session at the latest, however often it is renewed. Raises ForbiddenError for any other
        credential, and as ``authenticate`` does.
        """
        if presented.api_key is not None or presented.bearer is None:
            raise ForbiddenError("only a token from login can be renewed")
        if tokens.unverified_issuer(presented.bearer) != tokens.ISSUER:
            raise ForbiddenError("only a token from login can be renewed")
        claims, key = await self._read_token(presented.bearer)
        return await self._issue(key, logged_in_at=claims.logged_in_at)

    async def _issue(self, key: ApiKey, *, logged_in_at: datetime) -> Issued:
        now = self._clock()
        session_ends = tokens.end_of_life(logged_in_at, self._session, at_most=key.expires_at)
        ends = tokens.end_of_life(now, self._token_ttl, at_most=session_ends)
        signing = await self._ring.signing()
        claims = TokenClaims(key.subject, key.id, key.scopes, key.namespaces, ends, logged_in_at)
        return Issued(tokens.issue_token(signing.private, signing.id, claims, now=now), claims, session_ends)

    async def covers(self, caller: Caller, scopes: Iterable[str], namespaces: Iterable[str]) -> bool:
        """Whether the caller has each of the scopes in each of the namespaces, and so may hand them on."""
        wanted = frozenset(namespaces)
        if caller.identity is None:
            return _within(frozenset(scopes), caller.scopes) and _within(wanted, caller.namespaces)
        found = await asyncio.gather(*(self._rights.namespaces(caller.identity, scope) for scope in scopes))
        return all(_within(wanted, where) for where in found)

    async def _check_key(self, text: str | None, client: str | None) -> ApiKey:
        try:
            plain = parse_key(text or "")
        except InvalidError:
            plain = None
        if plain is not None:
            known = self._keys.remembered(plain)
            if known is not None:
                return known
        proof = _digest(text or "")
        self._check_failures(client, proof)
        key = await self._keys.check(plain) if plain is not None else None
        if key is None:
            self._proven.drop(proof)
            self._failed.note(client)
            raise UnauthenticatedError(_REFUSED)
        self._proven.put(proof, True)
        return key

    def _check_failures(self, client: str | None, proof: bytes) -> None:
        """Raise RateLimitedError if the client has failed too often, but not for a credential that was good before: it
        is no guess, and its owner is not shut out by those who share its address. Whether it still is good is asked."""
        if self._proven.get(proof) is None:
            self._failed.check(client)

    async def _check_bearer(self, token: str, scope: str | None) -> Caller:
        issuer = tokens.unverified_issuer(token)
        if issuer is None:
            raise UnauthenticatedError("not a token")
        if issuer == tokens.ISSUER:
            return await self._check_token(token)
        if self._oidc is not None and issuer == self._oidc.issuer:
            return await self._caller_for(await self._oidc.identify(token), scope)
        return await self._caller_for(await self._service_accounts.identify(token), scope)

    async def _read_token(self, token: str) -> tuple[TokenClaims, ApiKey]:
        public = await self._ring.verifying(tokens.key_id_of(token))
        claims = tokens.verify_token(public, token, now=self._clock())
        key = await self._keys.in_use(claims.key_id)
        if key is None:
            raise UnauthenticatedError("the token's API key is not in use any more")
        return claims, key

    async def _check_token(self, token: str) -> Caller:
        claims, key = await self._read_token(token)
        return Caller(
            subject=claims.subject,
            key_id=claims.key_id,
            scopes=frozenset(claims.scopes),
            namespaces=frozenset(claims.namespaces),
            expires_at=claims.expires_at,
            delegates_until=key.expires_at,
        )

    async def _caller_for(self, identity: Identity, scope: str | None) -> Caller:
        asked = (scope,) if scope is not None else tuple(Scope)
        found = await asyncio.gather(*(self._rights.namespaces(identity, name) for name in asked))
        return Caller(
            subject=identity.username,
            key_id=None,
            scopes=frozenset(name for name, where in zip(asked, found, strict=True) if where),
            namespaces=frozenset().union(*found),
            expires_at=identity.expires_at,
            identity=identity,
        )


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()


def _within(wanted: frozenset[str], given: frozenset[str]) -> bool:
    return ANY in given or wanted <= given


def _caller_of(key: ApiKey) -> Caller:
    return Caller(
        subject=key.subject,
        key_id=key.id,
        scopes=frozenset(key.scopes),
        namespaces=frozenset(key.namespaces),
        expires_at=key.expires_at,
        delegates_until=key.expires_at,
    )
