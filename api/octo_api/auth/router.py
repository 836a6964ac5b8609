"""``/v1/auth``."""

from __future__ import annotations

from octo_api.auth.schemas import Identity, Token
from octo_api.deps import ApiKeyHeaderDep, CallerDep, ContextDep, ServicesDep
from octo_api.routing.base import Access, BaseRouter


class AuthRouter(BaseRouter):
    """From an API key to a token, and what a credential stands for."""

    prefix = "/v1/auth"
    tag = "auth"

    def register_routes(self) -> None:
        self.add("POST", "/login", self.login, access=Access.PUBLIC, action="auth.login", errors=(401,))
        self.add("GET", "/verify", self.verify_token, access=Access.AUTHENTICATED, action="auth.verify")

    async def login(self, services: ServicesDep, context: ContextDep, api_key: ApiKeyHeaderDep) -> Token:
        """Exchange the API key in `X-API-Key` for a short-lived token with the same rights."""
        token, claims = await services.auth.login(api_key)
        context.actor = claims.subject
        context.resource = claims.key_id
        lifetime = claims.expires_at - services.clock()
        return Token(access_token=token, expires_in=int(lifetime.total_seconds()), expires_at=claims.expires_at)

    async def verify_token(self, caller: CallerDep) -> Identity:
        """Say what the credential of this request stands for."""
        return Identity(
            subject=caller.subject,
            key_id=caller.key_id,
            scopes=tuple(sorted(caller.scopes)),
            namespaces=tuple(sorted(caller.namespaces)),
            expires_at=caller.expires_at,
        )
