"""Secrets and signatures of Standard Webhooks 1.0. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"


def derive(key: str, webhook_id: str, salt: str) -> bytes:
    """A webhook's secret. Derived anew each time, so that the database alone can sign nothing."""
    label = f"octo webhook v1\0{webhook_id}\0{salt}"
    return hmac.new(key.encode(), label.encode(), hashlib.sha256).digest()


def text_of(secret: bytes) -> str:
    """The secret as its receiver is given it."""
    return PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, with its version."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def headers(secrets: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """What goes with a body: a receiver takes it if one of the signatures is right and the time is recent."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in secrets),
    }
