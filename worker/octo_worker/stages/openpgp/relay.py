"""The agent of the long-lived gpg processes: it opens RSA session keys itself, and passes all else on to gpg-agent.

gpg-agent does one private-key operation at a time, and its RSA takes ten times as long as OpenSSL's. With small
messages that is nearly all there is to do. gpg itself does not notice: it asks its agent for a session key, and judges
the message by it as ever. What is not an RSA decryption in just the form known here goes to the real agent, and a
wrong answer could only make gpg refuse the message, which is then opened the ordinary way, without this.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers

from octo_worker.stages.openpgp.assuan import ends_reply, escape, read_line, unescape

_RSA_KEY = re.compile(r"Key:\s*\(private-key\s+\(rsa\s+((?:\(\w+\s+#[0-9A-F\s]+#\)\s*)+)\)")
_NUMBER = re.compile(r"\((\w+)\s+#([0-9A-F\s]+)#\)")
_RSA_CIPHERTEXT = re.compile(rb"\(7:enc-val\(3:rsa\(1:a(\d{1,4}):(.+)\)\)\)\0?", re.DOTALL)
_MAX_CIPHERTEXT = 8192
_REFUSED = b"ERR 67108922 No data <Octo>\n"


def rsa_key(text: str) -> RSAPrivateKey | None:
    """The key in a file of ``private-keys-v1.d`` if it is an unprotected RSA key in the form that gpg ≥ 2.2 writes."""
    found = _RSA_KEY.search(text)
    if found is None:
        return None
    number = {name: int("".join(digits.split()), 16) for name, digits in _NUMBER.findall(found[1])}
    try:
        n, e, d, p, q = (number[name] for name in "nedpq")
        public = RSAPublicNumbers(e, n)
        private = RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
        # The agent has checked it when it was imported; to do so again takes 0.2 s.
        return private.private_key(unsafe_skip_rsa_key_validation=True)
    except (KeyError, ValueError, ZeroDivisionError):
        return None


def open_session_key(key: RSAPrivateKey, ciphertext: bytes) -> bytes | None:
    """The answer to ``PKDECRYPT``, or None if the ciphertext is not what this key opens."""
    found = _RSA_CIPHERTEXT.fullmatch(ciphertext)
    if found is None or len(found[2]) != int(found[1]):
        return None
    size = (key.key_size + 7) // 8
    number = found[2].lstrip(b"\0").rjust(size, b"\0")
    if len(number) != size:
        return None
    try:
        value = key.decrypt(number, PKCS1v15())
    except ValueError:
        return None
    return b"(5:value%d:%s)" % (len(value), value)


@contextmanager
def relay(listen_at: Path, agent: Path, keys: Mapping[str, RSAPrivateKey]) -> Iterator[None]:
    """Be the agent at ``listen_at`` while the block runs. ``keys`` are the RSA keys by keygrip."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(listen_at))
        listener.listen(16)
        connections = _Connections(listener, agent, keys)
        connections.start()
        try:
            yield
        finally:
            connections.stop()


class _Connections(threading.Thread):
    """Takes connections, one thread for each: as many as there are long-lived gpg processes."""

    def __init__(self, listener: socket.socket, agent: Path, keys: Mapping[str, RSAPrivateKey]) -> None:
        super().__init__(name="openpgp-relay", daemon=True)
        self._listener = listener
        self._agent = agent
        self._keys = keys
        self._open: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # shut down by stop()
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="openpgp-agent", daemon=True)
            with self._lock:
                self._open[thread] = connection
            thread.start()

    def stop(self) -> None:
        """End all connections, and wait until nothing runs any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self.join()
        with self._lock:
            left = dict(self._open)
        for thread, connection in left.items():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def _serve(self, connection: socket.socket) -> None:
        try:
            # An OSError: gpg ended, or the agent did. gpg then sees its agent hang up.
            with connection, suppress(OSError), socket.socket(socket.AF_UNIX) as upstream:
                upstream.connect(str(self._agent))
                with connection.makefile("rb") as asked, upstream.makefile("rb") as answered:
                    _Conversation(connection, asked, upstream, answered, self._keys).run()
        finally:
            with self._lock:
                del self._open[threading.current_thread()]


class _Conversation:
    """One gpg's talk with its agent, line by line."""

    def __init__(
        self,
        gpg: socket.socket,
        asked: BinaryIO,
        agent: socket.socket,
        answered: BinaryIO,
        keys: Mapping[str, RSAPrivateKey],
    ) -> None:
        self._gpg = gpg
        self._asked = asked
        self._agent = agent
        self._answered = answered
        self._keys = keys

    def run(self) -> None:
        key: RSAPrivateKey | None = None
        self._pass_reply()
        while line := read_line(self._asked):
            command, _, rest = line.rstrip(b"\n").partition(b" ")
            if command == b"SETKEY":
                key = self._keys.get(rest.decode("ascii", "replace"))
            if key is not None and line == b"PKDECRYPT\n":
                self._decrypt(key)
                continue
            self._agent.sendall(line)
            while self._pass_reply() == b"INQUIRE":
                self._pass_answer()

    def _pass_reply(self) -> bytes:
        """Pass on what the agent says until it is gpg's turn; gives the last line's first word."""
        while line := read_line(self._answered):
            self._gpg.sendall(line)
            if ends_reply(line):
                return line.split()[0]
        raise ConnectionAbortedError

    def _pass_answer(self) -> None:
        while line := read_line(self._asked):
            self._agent.sendall(line)
            if not line.startswith(b"D "):
                return
        raise ConnectionAbortedError

    def _decrypt(self, key: RSAPrivateKey) -> None:
        self._gpg.sendall(b"INQUIRE CIPHERTEXT\n")
        ciphertext = b""
        while (line := read_line(self._asked)).startswith(b"D ") and len(ciphertext) < _MAX_CIPHERTEXT:
            ciphertext += unescape(line[2:-1])
        value = open_session_key(key, ciphertext) if line == b"END\n" else None
        # PADDING 0: the value is bare, as a smart card would give it.
        self._gpg.sendall(_REFUSED if value is None else b"S PADDING 0\nD " + escape(value) + b"\nOK\n")
