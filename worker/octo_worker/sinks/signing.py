"""Signs requests to S3: AWS Signature Version 4 in headers. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from octo_worker.sinks.keys import Keys

UNSIGNED = "UNSIGNED-PAYLOAD"
"""In place of a payload's digest where a checksum protects it."""
_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"
_BLANKS = " \t"
_RUN = re.compile(f"[{_BLANKS}]+")


def signed(
    method: str, target: str, headers: Mapping[str, str], payload: str, *, keys: Keys, region: str, at: datetime
) -> dict[str, str]:
    """The headers, in lower case, with those that sign the request. All of them are signed.

    ``target`` is the request target, escaped as S3 wants it: it is signed as it is, and must be sent so. ``headers``
    has the host. ``payload`` is the body's SHA-256 in hex, or ``UNSIGNED``.
    """
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    every = {name.lower(): value.strip(_BLANKS) for name, value in headers.items()}
    every |= {"x-amz-content-sha256": payload, "x-amz-date": stamp}
    if keys.session_token is not None:
        every["x-amz-security-token"] = keys.session_token
    path, _, query = target.partition("?")
    names = sorted(every)
    listed = ";".join(names)
    canonical = "\n".join(
        (
            method,
            path,
            # By name, then by value. A name without a value is signed as one with an empty value.
            "&".join("=".join(pair) for pair in sorted(_pairs(query))),
            *(f"{name}:{_RUN.sub(' ', every[name])}" for name in names),
            "",
            listed,
            payload,
        )
    )
    scope = f"{stamp[:8]}/{region}/{_SERVICE}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in (stamp[:8], region, _SERVICE, "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={keys.access_key_id}/{scope}"
    every["authorization"] = f"{_ALGORITHM} {credential}, SignedHeaders={listed}, Signature={key.hex()}"
    return every


def _pairs(query: str) -> list[tuple[str, str]]:
    halves = (pair.partition("=") for pair in query.split("&") if pair)
    return [(name, value) for name, _, value in halves]
