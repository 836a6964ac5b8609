"""Kubernetes ServiceAccounts as callers, by a token that was made for this server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from octo_api.auth.identity import Identity
from octo_api.auth.memory import Memory
from octo_api.auth.token_review import review_token
from octo_core.domain.errors import UnauthenticatedError
from octo_core.kube.client import KubeClient

PREFIX = "system:serviceaccount:"
_REMEMBERED = timedelta(seconds=30)


class ServiceAccounts:
    """Knows a ServiceAccount by its token. A good token is remembered for half a minute."""

    def __init__(self, kube: KubeClient, *, audience: str, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._audience = audience
        self._remembered: Memory[bytes, Identity] = Memory(clock=clock, life=_REMEMBERED)

    async def identify(self, token: str) -> Identity:
        """Whose token it is. Raises UnauthenticatedError or ClusterUnavailableError.

        Its expiry is the cluster's to check: a token is asked about again within half a minute.
        """
        digest = hashlib.sha256(token.encode()).digest()
        identity = self._remembered.get(digest)
        if identity is None:
            user = await review_token(self._kube, token, audience=self._audience)
            username = str(user.get("username", "")) if user is not None else ""
            if user is None or not username.startswith(PREFIX):
                raise UnauthenticatedError("the token is not a ServiceAccount's for this server")
            identity = Identity(username, frozenset(user.get("groups", ())), uid=str(user.get("uid", "")))
            self._remembered.put(digest, identity)
        return identity
