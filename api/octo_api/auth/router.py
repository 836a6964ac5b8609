"""``/v1/auth`` and the key set."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from octo_api.auth.schemas import CallerIdentity, KeySet, Token
from octo_api.auth.service import Issued, Presented
from octo_api.context import RequestContext
from octo_api.deps import ApiKeyHeaderDep, CallerDep, ContextDep, PresentedDep, ServicesDep
from octo_api.routing.base import Access, BaseRouter
from octo_api.services import Services


class AuthRouter(BaseRouter):
    """From an API key to a token, and what a credential stands for."""

    prefix = "/v1/auth"
    tag = "auth"

    def register_routes(self) -> None:
        self.add("POST", "/login", self.login, access=Access.PUBLIC, action="auth.login", errors=(401,))
        self.add("POST", "/renew", self.renew, access=Access.AUTHENTICATED, action="auth.renew")
        self.add("GET", "/verify", self.verify_token, access=Access.AUTHENTICATED, action="auth.verify")
        self.add("GET", "/jwks", self.jwks, access=Access.PUBLIC, action="auth.jwks")

    async def login(self, services: ServicesDep, context: ContextDep, api_key: ApiKeyHeaderDep) -> Token:
        """Exchange the API key in `X-API-Key` for a short-lived token with the same rights."""
        return _answer(services, context, await services.auth.login(Presented(api_key, None, context.client)))

    async def renew(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, credentials: PresentedDep
    ) -> Token:
        """Exchange a token from login, before it expires, for another one, until its session ends."""
        return _answer(services, context, await services.auth.renew(credentials))

    async def verify_token(self, caller: CallerDep) -> CallerIdentity:
        """Say what the credential of this request stands for."""
        return CallerIdentity(
            subject=caller.subject,
            key_id=caller.key_id,
            scopes=tuple(sorted(caller.scopes)),
            namespaces=tuple(sorted(caller.namespaces)),
            expires_at=caller.expires_at,
        )

    async def jwks(self, services: ServicesDep, response: Response) -> KeySet:
        """The public keys under which tokens from login can be verified, as a JSON Web Key Set (RFC 7517)."""
        keys: list[dict[str, Any]] = (await services.key_ring.published())["keys"]
        response.headers["Cache-Control"] = "public, max-age=60"
        return KeySet.model_validate({"keys": keys})


def _answer(services: Services, context: RequestContext, issued: Issued) -> Token:
    claims = issued.claims
    context.actor, context.resource = claims.subject, claims.key_id
    lifetime = claims.expires_at - services.clock()
    return Token(
        access_token=issued.text,
        expires_in=int(lifetime.total_seconds()),
        expires_at=claims.expires_at,
        session_ends_at=issued.session_ends_at,
    )
