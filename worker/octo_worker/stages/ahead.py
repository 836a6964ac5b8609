"""Runs the stages before in a thread of their own, so that they and those behind work at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator


class _Buffer:
    """A bounded queue between two threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._over = self._unwanted = False
        self._error: BaseException | None = None

    def put(self, chunk: bytes) -> bool:
        """Wait for room. False if nobody wants more."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < self._limit or self._unwanted)
            self._chunks.append(chunk)
            self._bytes += len(chunk)
            self._changed.notify()
            return not self._unwanted

    def end(self, error: BaseException | None) -> None:
        with self._changed:
            self._over, self._error = True, error
            self._changed.notify()

    def take(self) -> bytes | None:
        """Wait for the next chunk; None at the end. Raises what the stages before raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._over)
            if not self._chunks:
                if self._error is not None:
                    raise self._error
                return None
            chunk = self._chunks.popleft()
            self._bytes -= len(chunk)
            self._changed.notify()
            return chunk

    def refuse(self) -> None:
        with self._changed:
            self._unwanted = True
            self._changed.notify()


def ahead(chunks: Generator[bytes], limit: int) -> Generator[bytes]:
    """The chunks as they are, read up to about ``limit`` bytes ahead. Closing it closes ``chunks``, in their thread."""
    buffer = _Buffer(limit)

    def run() -> None:
        error: BaseException | None = None
        try:
            for chunk in chunks:
                if not buffer.put(chunk):
                    break
        except BaseException as raised:  # noqa: BLE001 - the reader raises it
            error = raised
        try:
            chunks.close()
        except BaseException as raised:  # noqa: BLE001 - likewise
            error = error or raised
        buffer.end(error)

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        while (chunk := buffer.take()) is not None:
            yield chunk
    finally:
        buffer.refuse()
        thread.join()
