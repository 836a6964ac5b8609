"""An HTTP proxy before a real S3 server that injects faults by rule.

A rule names the requests it means (method, a part of the query, a part of the path, which of them) and
what becomes of them. The proxy records what passed, so that tests see the headers that were sent. It
changes no byte unless told to: signatures hold, as the Host header goes through.

    with fault_proxy(server.port) as proxy:
        proxy.rule(Status(503), method="PUT", query="partNumber=2", times=1)
        proxy.rule(Lost(), method="POST", query="uploadId=")   # done by the server, never answered
        ... talk to proxy.endpoint
        assert proxy.count(method="PUT", query="partNumber=2") == 2

A client may also use it as its HTTP proxy (requests in absolute form): every host then leads to the
one server, which stands in for a name server in tests of virtual-host addressing.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

_PIECE = 64 << 10
_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "proxy-authorization", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that reached the proxy."""

    method: str
    path: str
    """Without the query, and unquoted."""
    query: str
    headers: dict[str, str]
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with an S3 error instead of the server. ``early`` answers and closes before the body is read."""

    status: int
    code: str = "Injected"
    early: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection: before the body is read, or after half of it."""

    half: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Let the server do it, then reset the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class LostAs:
    """Let the server do it, then answer with an error status."""

    status: int
    code: str = "InternalError"


@dataclass(frozen=True, slots=True)
class Cut:
    """Answer with the server's headers and half of its body, then reset."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Wait before the request goes on, at most until the proxy ends."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait until that event before the request goes on."""

    until: threading.Event


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer. ``done`` lets the server do it before."""

    done: bool = False


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Flip a bit of the request's body."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer with this body, as the server or instead of it."""

    status: int
    body: bytes
    forward: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """Take away headers of the server's answer whose names start so, and XML elements of that name's end."""

    header: str
    element: str = ""


Fault = Status | Reset | Lost | LostAs | Cut | Slow | Hold | Hang | Corrupt | Answer | Strip


@dataclass(slots=True)
class Rule:
    """A fault, and the requests it befalls: the ``nth`` (from 1) that fits, and ``times`` in all from there on."""

    fault: Fault
    method: str | None
    query: str | None
    path: str | None
    nth: int
    times: int | None
    when: Callable[[Seen], bool] | None
    fits: int = 0
    used: int = 0


@dataclass(slots=True)
class FaultProxy:
    """A running proxy."""

    port: int
    upstream: int
    seen: list[Seen] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)
    _rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        """URL to use instead of the server's."""
        return f"http://127.0.0.1:{self.port}"

    def rule(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        query: str | None = None,
        path: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        when: Callable[[Seen], bool] | None = None,
    ) -> Rule:
        """Add a rule; ``times=None`` is for ever. An empty ``query`` means requests without one. ``rule.used``
        tells how often it struck. Of several that fit, the first strikes."""
        made = Rule(fault, method, query, path, nth, times, when)
        with self._lock:
            self._rules.append(made)
        return made

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def requests(self, *, method: str | None = None, query: str | None = None, path: str | None = None) -> list[Seen]:
        """What passed so far and fits."""
        with self._lock:
            return [seen for seen in self.seen if _fits(seen, method, query, path)]

    def count(self, *, method: str | None = None, query: str | None = None, path: str | None = None) -> int:
        """How many passed so far and fit."""
        return len(self.requests(method=method, query=query, path=path))

    def fault_for(self, seen: Seen) -> Fault | None:
        """Record a request and tell its fault."""
        with self._lock:
            self.seen.append(seen)
            for rule in self._rules:
                if not _fits(seen, rule.method, rule.query, rule.path) or (rule.when and not rule.when(seen)):
                    continue
                rule.fits += 1
                if rule.fits >= rule.nth and (rule.times is None or rule.used < rule.times):
                    rule.used += 1
                    return rule.fault
        return None


def _fits(seen: Seen, method: str | None, query: str | None, path: str | None) -> bool:
    return (
        (method is None or seen.method == method)
        and (query is None or (query in seen.query if query else not seen.query))
        and (path is None or path in seen.path)
    )


@contextmanager
def fault_proxy(upstream: int) -> Iterator[FaultProxy]:
    """A proxy to the server on that port of loopback."""

    class Handler(_Handler):
        pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # connections break here by design

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy = Handler.proxy = FaultProxy(server.server_port, upstream)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.ending.set()
            server.shutdown()
            thread.join()


class _ResetError(Exception):
    """Close the connection with a reset."""


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except _ResetError:
            self._reset()
        except OSError:
            self.close_connection = True

    def _serve(self) -> None:
        # In absolute form when the client takes this for its proxy.
        parts = urlsplit(self.path)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", "0"))
        fault = self.proxy.fault_for(Seen(self.command, unquote(parts.path), parts.query, headers))
        match fault:
            case Status(early=True):
                self._error(fault.status, fault.code, close=True)
                return
            case Reset():
                if fault.half:
                    self.rfile.read(length // 2)
                raise _ResetError
            case Slow():
                self.proxy.ending.wait(fault.seconds)
            case Hold():
                fault.until.wait()
        body = self.rfile.read(length)
        match fault:
            case Status():
                self._error(fault.status, fault.code)
                return
            case Hang(done=False):
                self.proxy.ending.wait()
                raise _ResetError
            case Corrupt():
                body = body[: length // 2] + bytes([body[length // 2] ^ 1]) + body[length // 2 + 1 :]
            case Answer(forward=False):
                self._answer(fault.status, fault.body)
                return
        self._forward(target, body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - the names that http.server looks for

    def _forward(self, target: str, body: bytes, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=120)
        try:
            upstream.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            match fault:
                case Lost():
                    answer.read()
                    raise _ResetError
                case LostAs():
                    answer.read()
                    self._error(fault.status, fault.code)
                    return
                case Hang():
                    answer.read()
                    self.proxy.ending.wait()
                    raise _ResetError
                case Answer():
                    answer.read()
                    self._answer(fault.status, fault.body)
                    return
            self._pass_on(answer, fault)
        finally:
            upstream.close()

    def _pass_on(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        whole: bytes | None = None
        length = answer.getheader("content-length")
        if length is None or isinstance(fault, Strip):
            whole = answer.read()
            if isinstance(fault, Strip) and fault.element:
                whole = _without_elements(whole, fault.element)
            length = str(len(whole)) if self.command != "HEAD" else length
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() in _HOP or name.lower() == "content-length":
                continue
            if isinstance(fault, Strip) and name.lower().startswith(fault.header):
                continue
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        if whole is not None:
            self.wfile.write(whole)
            return
        left = int(length or 0) // 2 if isinstance(fault, Cut) else int(length or 0)
        while left and self.command != "HEAD" and (piece := answer.read(min(left, _PIECE))):
            self.wfile.write(piece)
            left -= len(piece)
        if isinstance(fault, Cut):
            self.wfile.flush()
            raise _ResetError

    def _error(self, status: int, code: str, *, close: bool = False) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode(), close=close)

    def _answer(self, status: int, body: bytes, *, close: bool = False) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not by the shutdown that the server ends each connection with: that would send an orderly end first.
        self.rfile.close()
        self.wfile = _Nowhere()  # type: ignore[assignment]
        with suppress(OSError):
            self.connection.close()


class _Nowhere:
    closed = True

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _without_elements(body: bytes, ending: str) -> bytes:
    return re.sub(rf"<(\w*{ending})>[^<]*</\1>".encode(), b"", body)
