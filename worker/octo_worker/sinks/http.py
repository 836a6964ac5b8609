"""Connections for HTTP: one pool for each place, by the proxy that the environment names, and how their errors read."""

from __future__ import annotations

import ssl
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError, ProxyError

CONNECT_SECONDS = 5.0
SEND_SECONDS = 30.0
"""How long one piece of a body may take; see ``Pool``."""
ERRORS = (HTTPError, HTTPException, OSError)
"""What a request raises when it gets no answer."""
_KEPT_ALIVE = 64
"""No less than the threads that may ask at once: the pool warns about each connection beyond."""


class _Sending:
    """A connection of urllib3 sends under the timeout for connecting; a body is given more than that."""

    sock: Any

    def send(self, data: Any) -> None:
        """Send bytes."""
        if self.sock is not None:
            self.sock.settimeout(SEND_SECONDS)
        super().send(data)  # type: ignore[misc]


class _Connection(_Sending, HTTPConnection):
    pass


class _SecureConnection(_Sending, HTTPSConnection):
    pass


class Pool:
    """The connections to one origin, such as ``https://s3.example.com``. Thread-safe.

    Nothing is followed, tried again or decoded here. A body given in pieces is sent piece by piece, uncopied, each
    within ``SEND_SECONDS``; its length stands in the headers.
    """

    def __init__(self, origin: str) -> None:
        place = urlsplit(origin)
        secure = place.scheme == "https"
        proxy = _proxy_for(place.scheme, place.netloc)
        options: dict[str, Any] = {"maxsize": _KEPT_ALIVE, "block": False, "retries": False}
        if secure:
            # The system's certificate authorities, or those that SSL_CERT_FILE names. For plain HTTP they would only
            # cost memory.
            options["ssl_context"] = ssl.create_default_context()
        self._manager: urllib3.PoolManager = (
            urllib3.ProxyManager(proxy, proxy_headers=_proxy_login(proxy), **options)
            if proxy
            else urllib3.PoolManager(**options)
        )
        self._pool: HTTPConnectionPool = self._manager.connection_from_url(origin)
        self._pool.ConnectionCls = _SecureConnection if isinstance(self._pool, HTTPSConnectionPool) else _Connection
        # What asks a proxy for something by plain HTTP names the whole URL.
        self._before = origin if proxy and not secure else ""

    def ask(
        self, method: str, target: str, headers: dict[str, str], body: Any, *, seconds: float, whole: bool = True
    ) -> urllib3.BaseHTTPResponse:
        """The answer to a request, with its body unless told otherwise. Raises one of ``ERRORS``.

        ``seconds`` is how long the server may be silent.
        """
        return self._pool.urlopen(
            method,
            f"{self._before}{target}",
            body=body,
            headers=headers,
            redirect=False,
            retries=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds),
            preload_content=whole,
            decode_content=False,
        )

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._manager.clear()


def why(error: BaseException) -> str:
    """An error for people, without the object that urllib3 begins it with."""
    if isinstance(error, ProxyError):
        return f"the proxy: {why(error.original_error)}"
    if isinstance(error, ProtocolError) and len(error.args) == 2 and isinstance(error.args[1], Exception):
        return why(error.args[1])
    text = str(error)
    _, mark, rest = text.partition(": ") if text.startswith(("<", "HTTP")) else ("", "", "")
    return (rest if mark else text) or type(error).__name__


def never_sent(error: BaseException) -> bool:
    """Whether there was not even a connection, so that nothing can have come of the request."""
    if isinstance(error, ProxyError):
        error = error.original_error
    return isinstance(error, (NewConnectionError, ConnectTimeoutError))


def _proxy_for(scheme: str, netloc: str) -> str | None:
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _proxy_login(proxy: str) -> dict[str, str] | None:
    place = urlsplit(proxy)
    if not place.username:
        return None
    login = f"{unquote(place.username)}:{unquote(place.password or '')}"
    return dict(urllib3.make_headers(proxy_basic_auth=login))
