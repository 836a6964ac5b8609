"""``/console/``: the page, its files, and how it signs people in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import octo_api
from octo_api.console.assets import Asset, load
from octo_api.console.headers import security_headers
from octo_api.console.settings import ConsoleSettings
from octo_api.etags import is_known

_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


class ConsoleRouter:
    """Files, without a credential: what they show comes from the REST API, which asks for one.

    No noun of that API, so it is in no document and stands on no common base.
    """

    def __init__(self, settings: ConsoleSettings, *, namespace: str) -> None:
        self._assets = load()
        oidc = settings.oidc_issuer if settings.console_oidc_client_id is not None else None
        self._headers = security_headers((oidc, *settings.console_oidc_origins) if oidc is not None else ())
        self._config: dict[str, Any] = {
            "version": octo_api.__version__,
            "namespace": namespace,
            "oidc": oidc
            and {
                "issuer": oidc,
                "clientId": settings.console_oidc_client_id,
                "scope": settings.console_oidc_scope,
            },
        }
        self.router = APIRouter(include_in_schema=False, redirect_slashes=False)
        for path, endpoint in (
            ("/console", self.entrance),
            ("/console/", self.index),
            ("/console/config.json", self.config),
            ("/console/assets/{version}/{path:path}", self.asset),
        ):
            self.router.add_api_route(path, endpoint, methods=["GET", "HEAD"])

    async def entrance(self) -> Response:
        """Without the slash, the page's relative paths would lead elsewhere."""
        return Response(status_code=308, headers={**self._headers, "Location": "console/"})

    async def index(self, request: Request) -> Response:
        """The page. It names its files by their version, so it alone has to be asked for again."""
        return self._send(request, self._assets.index, _ASK_AGAIN)

    async def config(self) -> Response:
        """What the page has to know before anybody has signed in."""
        return JSONResponse(self._config, headers=self._headers)

    async def asset(self, request: Request, version: str, path: str) -> Response:
        """A file of the page."""
        asset = self._assets.files.get(path)
        if asset is None:
            raise HTTPException(404)
        # While replicas of two versions serve, a page may ask for a file of the other one: it gets ours, for now.
        return self._send(request, asset, _FOR_EVER if version == self._assets.version else "no-store")

    def _send(self, request: Request, asset: Asset, caching: str) -> Response:
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        etag = asset.packed_etag if packed else asset.etag
        headers = {**self._headers, "Cache-Control": caching, "ETag": etag, "Vary": "Accept-Encoding"}
        if is_known(request.headers.get("If-None-Match"), etag):
            return Response(status_code=304, headers=headers)
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(asset.packed if packed else asset.plain, media_type=asset.media_type, headers=headers)
