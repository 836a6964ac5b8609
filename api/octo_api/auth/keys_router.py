"""``/v1/api-keys``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Path, Query, Response

from octo_api.auth.caller import Scope
from octo_api.auth.schemas import (
    ApiKey,
    ApiKeyPage,
    ApiKeyRequest,
    NewApiKey,
    RotateKeyRequest,
    api_key_of,
    new_api_key_of,
)
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.paging import Cursor, Limit
from octo_api.routing.base import BaseRouter

KeyIdPath = Annotated[str, Path(pattern="^[a-z2-7]{12}$", description="`id` of the key: the part behind `octo_`.")]


class ApiKeyRouter(BaseRouter):
    """Keys that programs call with."""

    prefix = "/v1/api-keys"
    tag = "api-keys"

    def register_routes(self) -> None:
        read, write = Scope.KEYS_READ, Scope.KEYS_WRITE
        self.add("GET", "", self.get_api_keys, access=read, action="api_keys.list")
        self.add("POST", "", self.create_api_key, access=write, action="api_keys.create", status=201)
        self.add("GET", "/{id}", self.get_api_key, access=read, action="api_keys.get", errors=(404,))
        self.add(
            "POST",
            "/{id}:rotate",
            self.rotate_api_key,
            access=write,
            action="api_keys.rotate",
            status=201,
            errors=(404, 409),
        )
        self.add("POST", "/{id}:revoke", self.revoke_api_key, access=write, action="api_keys.revoke", errors=(404,))

    async def get_api_keys(
        self,
        services: ServicesDep,
        caller: CallerDep,
        subject: Annotated[str | None, Query(max_length=255, pattern="^[!-~]+$")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> ApiKeyPage:
        """List the keys for namespaces that are the caller's, the newest first."""
        of = {"list": "api-keys", "subject": subject, "namespaces": caller.visible_namespaces()}
        after: tuple[datetime, str] | None = None
        if cursor is not None:
            created_at, last = services.cursors.decode(cursor, of=of)
            after = (datetime.fromisoformat(created_at), last)
        # One more than asked for tells whether there is a next page.
        found = await services.api_keys.page(caller, subject=subject, after=after, limit=limit + 1)
        page, now = found[:limit], services.clock()
        last_of_page = page[-1] if len(found) > limit else None
        following = (
            (last_of_page.created_at.isoformat(), last_of_page.id)
            if last_of_page is not None and last_of_page.created_at is not None
            else None
        )
        return ApiKeyPage(
            items=tuple(api_key_of(key, now=now) for key in page),
            next_cursor=services.cursors.encode(following, of=of) if following else None,
        )

    async def create_api_key(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, response: Response, body: ApiKeyRequest
    ) -> NewApiKey:
        """Make a key with no more rights than the credential of this request. Its secret is in this answer only."""
        context.details = {
            "subject": body.subject,
            "scopes": list(body.scopes),
            "namespaces": list(body.namespaces),
        }
        made, plain = await services.api_keys.create(
            caller,
            subject=body.subject,
            description=body.description,
            scopes=body.scopes,
            namespaces=body.namespaces,
            expires_at=body.expires_at,
        )
        context.resource = made.id
        response.headers["Location"] = f"{self.prefix}/{made.id}"
        return new_api_key_of(made, plain.text, now=services.clock())

    async def get_api_key(self, services: ServicesDep, caller: CallerDep, id: KeyIdPath) -> ApiKey:
        """One key, and when it was last used."""
        return api_key_of(await services.api_keys.get(caller, id), now=services.clock())

    async def rotate_api_key(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        response: Response,
        id: KeyIdPath,
        body: RotateKeyRequest | None = None,
    ) -> NewApiKey:
        """Make a key that follows this one with the same rights. The old one ends after `overlapSeconds`."""
        context.resource = id
        overlap = timedelta(seconds=(body or RotateKeyRequest()).overlap_seconds)
        made, plain = await services.api_keys.rotate(caller, id, overlap=overlap)
        context.details = {"followedBy": made.id}
        response.headers["Location"] = f"{self.prefix}/{made.id}"
        return new_api_key_of(made, plain.text, now=services.clock())

    async def revoke_api_key(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, id: KeyIdPath
    ) -> ApiKey:
        """End a key, and the tokens made from it: at once in this replica, within a minute in all."""
        context.resource = id
        return api_key_of(await services.api_keys.revoke(caller, id), now=services.clock())
