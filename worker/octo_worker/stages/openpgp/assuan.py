"""As much of Assuan, the line protocol of gpg-agent, as is needed to ask an agent and to be one."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

MAX_LINE = 1000
"""Without the line feed; what the protocol allows."""
_SPECIAL = re.compile(rb"[%\r\n]")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


class RefusedError(Exception):
    """The agent answered with an error, or not at all."""


def escape(data: bytes) -> bytes:
    """Data as it goes into a ``D`` line."""
    return _SPECIAL.sub(lambda match: b"%%%02X" % match[0][0], data)


def unescape(data: bytes) -> bytes:
    """Data as it was before it went into a ``D`` line."""
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), data)


def read_line(stream: BinaryIO) -> bytes:
    """The next line with its line feed; empty when the peer has closed, or does not keep to the protocol."""
    line = stream.readline(MAX_LINE + 1)
    return line if line.endswith(b"\n") else b""


def ends_reply(line: bytes) -> bool:
    """Whether it is the peer's turn to listen after this line."""
    return line.split(maxsplit=1)[:1] in ([b"OK"], [b"ERR"], [b"INQUIRE"], [])


class Agent:
    """A connection to a running gpg-agent."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
            self._lines = self._socket.makefile("rb")
        except BaseException:
            self._socket.close()
            raise
        read_line(self._lines)  # its greeting

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, answers: Mapping[str, bytes] | None = None) -> list[bytes]:
        """Send a command; what the agent inquires is looked up in ``answers``. Gives the lines before its OK."""
        said: list[bytes] = []
        self._socket.sendall(command.encode() + b"\n")
        while True:
            line = read_line(self._lines).rstrip(b"\n")
            word, _, rest = line.partition(b" ")
            if word == b"OK":
                return said
            if word == b"INQUIRE":
                answer = (answers or {}).get(rest.split()[0].decode())
                self._socket.sendall(b"CAN\n" if answer is None else b"D " + escape(answer) + b"\nEND\n")
            elif word in (b"ERR", b""):
                # Never the command or an answer: only what the agent says.
                raise RefusedError(rest.decode("utf-8", "replace") or "the agent hung up")
            else:
                said.append(line)
