"""One HTTP request to an address that a user chose: to where it may go, of bounded size and time, and no further."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from octo_api.webhooks.addresses import AddressPolicy

KEPT_BYTES = 1024
"""How much of an answer is read, and kept in the log of deliveries."""

REFUSED = "the address is not one that webhooks may reach"


class RefusedAddressError(OSError):
    """A name leads to an address that webhooks may not reach."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request; ``error`` says why no answer came, in words that tell nothing of this side."""

    status: int | None = None
    error: str | None = None
    body: str | None = None
    retry_after: float | None = None
    milliseconds: int = 0


class _CheckedResolver(AbstractResolver):
    """Refuses a name of which any address is refused."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not self._policy.permits_all(each["host"] for each in found):
            raise RefusedAddressError(REFUSED)
        return found

    async def close(self) -> None:
        await self._inner.close()


class Sender:
    """Sends, and follows nothing: no redirect, no proxy, no cookie. To be closed."""

    def __init__(self, policy: AddressPolicy, *, timeout_seconds: float, ca_file: str | None, user_agent: str) -> None:
        self._policy = policy
        self._timeout = timeout_seconds
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(policy),
            socket_factory=self._socket,
            use_dns_cache=False,
            force_close=True,
            limit=0,
            ssl=ssl.create_default_context(cafile=ca_file),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            headers={"User-Agent": user_agent},
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a JSON body; never raises for what the other side does."""
        began = perf_counter()

        def after() -> int:
            return int((perf_counter() - began) * 1000)

        try:
            async with self._session.post(
                url,
                data=body,
                headers={**headers, "Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                text = (await _read(response)).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
                return Answer(
                    status=response.status,
                    body=text,
                    retry_after=_seconds(response.headers.get("Retry-After", "")),
                    milliseconds=after(),
                )
        except RefusedAddressError:
            return Answer(error=REFUSED, milliseconds=after())
        except TimeoutError:
            return Answer(error=f"no answer within {self._timeout:g} s", milliseconds=after())
        except aiohttp.ClientConnectorCertificateError:
            return Answer(error="the certificate is not trusted", milliseconds=after())
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, RefusedAddressError)
            return Answer(error=REFUSED if refused else "the connection could not be made", milliseconds=after())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(error=f"the request failed: {type(error).__name__}", milliseconds=after())

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        # The last gate: this very address is connected to next, whatever was resolved before.
        family, kind, proto, _, address = info
        if not self._policy.permits(str(address[0])):
            raise RefusedAddressError(REFUSED)
        return socket.socket(family, kind, proto)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    kept = b""
    while len(kept) < KEPT_BYTES:
        piece = await response.content.read(KEPT_BYTES - len(kept))
        if not piece:
            break
        kept += piece
        await asyncio.sleep(0)
    return kept


def _seconds(text: str) -> float | None:
    """Of a Retry-After; a date is not understood, since the schedule does as well."""
    return float(text[:6]) if text.isascii() and text.isdigit() else None
