"""Whom the worker's own HTTPS connections trust."""

from __future__ import annotations

import ssl


def trust(url: str) -> ssl.SSLContext | bool:
    """The system's certificate authorities, or those that ``SSL_CERT_FILE`` names, as obstore does.

    httpx by itself would trust a bundle of its own. Nothing is loaded for plain HTTP, where it would only
    cost memory.
    """
    return ssl.create_default_context() if url.startswith("https:") else False
