"""Makes hostile requests: headers, cursors, tokens and ids, each from a seed. Pure."""

from __future__ import annotations

import base64
import hmac
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

import jwt

ODD = (
    *("", " ", "\x00", "\x1b[2J", "\r\nX-Planted: 1", "\n", "\u2028", "\u202e", "\ufeff", "\ud800", "é", "💥"),
    *("'", "' OR '1'='1", "'; DROP TABLE jobs; --", "\\", '"', "`", "%00", "%", "%s%n", "{0}", "${jndi:ldap://x}"),
    *("../", "..%2f..%2f", "/etc/passwd", "//", ";", "?", "#", ":", "*", "null", "true", "NaN", "-1", "0", "1e999"),
    *("9" * 400, "a" * 5_000, "<script>", "{{7*7}}", '{"$ne": 1}', "[" * 300),
)
HEADERS = (
    *("Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Cookie", "Expect", "Forwarded", "Host"),
    *("Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "Origin", "Prefer", "Range", "Referer"),
    *("Transfer-Encoding", "Upgrade", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Request-Id", "X-Planted"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the requests are made of."""

    routes: tuple[tuple[str, str], ...]
    """Method and path, as OpenAPI has them."""
    ids: tuple[str, ...]
    """Of objects that the caller may not see."""
    cursors: tuple[str, ...]
    """Of lists of somebody who sees everything."""
    key: str
    """Reads, in a namespace where nothing is."""
    token: str
    """The same, from login."""
    public: bytes
    """Of the key that signs tokens, as PEM."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request, as the bytes that are sent."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    guarded: bool
    """Whether its credential is none that the api knows."""

    @property
    def sent(self) -> bytes:
        """All of it."""
        named = {name.lower() for name, _ in self.headers}
        headers = list(self.headers)
        if b"host" not in named:
            headers.insert(0, (b"Host", b"api"))
        if b"content-length" not in named and b"transfer-encoding" not in named:
            headers.append((b"Content-Length", str(len(self.body)).encode()))
        lines = [self.method.encode() + b" " + self.target + b" HTTP/1.1", *(b": ".join(each) for each in headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body


class Maker:
    """Requests from a seed: the same ones each time."""

    def __init__(self, known: Known, seed: int) -> None:
        self._known = known
        self._chance = random.Random(seed)

    def make(self) -> Hostile:
        """The next one."""
        chance, known = self._chance, self._known
        method, path = chance.choice(known.routes)
        if chance.random() < 0.05:
            method = chance.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"))
        credential, guarded = self._credential()
        headers = [credential] if credential else []
        more = chance.choice((0, 0, 1, 1, 2, 5))
        headers += [(chance.choice(HEADERS).encode(), self._header_value()) for _ in range(more)]
        body = b""
        if method in ("POST", "PUT", "PATCH"):
            body = self._body()
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers.append((b"Content-Type", kind.encode()))
        if any(name == b"Content-Length" for name, _ in headers):
            # What would follow a shorter body is another request, which ends the connection before the answer.
            body = b""
        return Hostile(method, self._target(path), tuple(headers), body, guarded)

    def _credential(self) -> tuple[tuple[bytes, bytes] | None, bool]:
        chance, known = self._chance, self._known
        roll = chance.random()
        if roll < 0.3:
            return (b"X-API-Key", known.key.encode()), False
        if roll < 0.4:
            return (b"Authorization", b"Bearer " + known.token.encode()), False
        if roll < 0.6:
            return (b"X-API-Key", self._changed(known.key)), True
        if roll < 0.95:
            return (b"Authorization", chance.choice((b"Bearer ", b"bearer ", b"Basic ", b"")) + self._token()), True
        return None, True

    def _token(self) -> bytes:
        chance, known = self._chance, self._known
        claims: dict[str, Any] = jwt.decode(known.token, options={"verify_signature": False})
        head: dict[str, Any] = jwt.get_unverified_header(known.token)
        kind = chance.randrange(5)
        if kind == 0:
            # Of the signature's text some bits mean nothing; of what it signs, every one does.
            signed, _, signature = known.token.rpartition(".")
            return self._changed(signed) + b"." + signature.encode()
        if kind == 1:
            head["alg"] = chance.choice(("none", "None", "HS256", "ES256", "", None, 7))
            claims["scopes"], claims["namespaces"] = ["*"], ["*"]
        elif kind == 2:
            head["kid"] = chance.choice((*ODD, None, 7, ["x"], {"a": 1}))
        elif kind == 3:
            claims[chance.choice(list(claims))] = chance.choice((*ODD, None, 7, -1, ["*"], {"a": 1}, 10**30, True))
        else:
            claims["scopes"], claims["namespaces"] = ["*"], ["*"]
            # As if the public key were the secret of an HMAC.
            return _signed({**head, "alg": "HS256"}, claims, known.public)
        return _signed(head, claims, b"" if chance.random() < 0.5 else chance.randbytes(64))

    def _target(self, path: str) -> bytes:
        chance, known = self._chance, self._known
        parts = []
        for part in path.split("/"):
            if "{" in part:
                before, _, rest = part.partition("{")
                after = rest.partition("}")[2]
                value = chance.choice(known.ids).encode() if chance.random() < 0.4 else self._text()
                part = before + quote_from_bytes(value, safe=b"" if chance.random() < 0.8 else b"/.:;%") + after
            parts.append(part)
        query = []
        for _ in range(chance.choice((0, 0, 1, 2, 4))):
            name = chance.choice(("cursor", "limit", "namespace", "name", "after", "fields", "sort", "state", "dryRun"))
            value = self._changed(chance.choice(known.cursors)) if name == "cursor" else self._text()
            query.append(f"{name}={quote_from_bytes(value)}")
        if chance.random() < 0.1 and known.cursors:
            # Whole, but of somebody else's list.
            query.append(f"cursor={chance.choice(known.cursors)}")
        return ("/".join(parts) + ("?" + "&".join(query) if query else "")).encode()

    def _body(self) -> bytes:
        chance = self._chance
        roll = chance.random()
        if roll < 0.4:
            name = chance.choice(("provider", "name", "subject", "url", "reason", "filter", "scopes", "spec", "items"))
            return json.dumps({name: self._value()}).encode()
        return b"{}" if roll < 0.6 else self._changed('{"provider": "acme"}') if roll < 0.8 else self._text()

    def _value(self) -> Any:
        chance = self._chance
        choices: tuple[Callable[[], Any], ...] = (
            lambda: chance.choice(ODD),
            lambda: [chance.choice(ODD)],
            lambda: {chance.choice(ODD): chance.choice(ODD)},
            lambda: chance.choice((None, True, -1, 10**30, 0.5)),
        )
        return chance.choice(choices)()

    def _text(self) -> bytes:
        chance = self._chance
        roll = chance.random()
        if roll < 0.5:
            text = chance.choice(ODD)
        elif roll < 0.8:
            text = "".join(chance.choices(string.ascii_letters + string.digits + "-_.", k=chance.randrange(1, 40)))
        else:
            return chance.randbytes(chance.randrange(1, 40))
        return text.encode(errors="surrogatepass")

    def _changed(self, text: str) -> bytes:
        """Something like it, but not it."""
        chance, raw = self._chance, bytearray(text.encode())
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(raw))
            match chance.randrange(4):
                case 0:
                    raw[at] ^= 1 << chance.randrange(7)
                case 1:
                    del raw[at:]
                    raw += chance.choice(ODD).encode(errors="surrogatepass") or b"x"
                case 2:
                    raw[at:at] = chance.choice(ODD).encode(errors="surrogatepass")
                case _:
                    raw[at : at + 1] = bytes((chance.choice(b"AZaz09-_."),))
        changed = _on_one_line(bytes(raw))
        # Blanks around the value of a header are not part of it.
        return changed if changed.strip() != text.encode() else changed.strip() + b"x"

    def _header_value(self) -> bytes:
        text = _on_one_line(self._text())
        # Most without what HTTP itself refuses, so that they get further.
        return (
            text
            if self._chance.random() < 0.1
            else bytes(byte for byte in text if byte == 9 or (byte >= 32 and byte != 127))
        )


def _on_one_line(raw: bytes) -> bytes:
    """A line break would begin another header, which is no secret of HTTP's."""
    return raw.replace(b"\r", b"\t").replace(b"\n", b"\t")


def _signed(head: dict[str, Any], claims: dict[str, Any], key: bytes) -> bytes:
    message = _b64(json.dumps(head).encode()) + b"." + _b64(json.dumps(claims).encode())
    return message + b"." + (_b64(hmac.digest(key, message, "sha256")) if key else b"")


def _b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
