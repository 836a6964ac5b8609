"""Tokens as other authorities would make them. The fake cluster knows those that a test names to it."""

from __future__ import annotations

import jwt

CLUSTER = "https://kubernetes.default.svc.cluster.local"


def service_account_token(namespace: str, name: str) -> str:
    """A token in the form of a ServiceAccount's; whether it is good is the cluster's word."""
    claims = {"iss": CLUSTER, "sub": f"system:serviceaccount:{namespace}:{name}", "aud": ["octo"]}
    return jwt.encode(claims, "k" * 32, algorithm="HS256")
