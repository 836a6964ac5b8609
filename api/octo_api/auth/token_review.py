"""Asks the cluster whose a ServiceAccount token is."""

from __future__ import annotations

from octo_api.errors import acting_on_cluster
from octo_core.crd.resources import Raw
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import TOKEN_REVIEWS


async def review_token(kube: KubeClient, token: str, *, audience: str) -> Raw | None:
    """The ``user`` of a token that was made for this audience, else None. Raises ClusterUnavailableError."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": TOKEN_REVIEWS.kind,
        "spec": {"token": token, "audiences": [audience]},
    }
    with acting_on_cluster():
        review = await kube.create(TOKEN_REVIEWS, None, request)
    status = review.get("status", {})
    if not status.get("authenticated") or audience not in status.get("audiences", ()):
        return None
    user: Raw = status.get("user", {})
    return user
