"""Takes a stream of chunks apart, with each byte copied at most twice."""

from __future__ import annotations

from collections.abc import Iterator

from octo_worker.failure import MalformedError

_SLICE = 1 << 20


class Reader:
    """Bytes of a stream, as many as asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0
        self.offset = 0
        """How many bytes have been taken."""

    def some(self, limit: int) -> bytes:
        """The bytes that are at hand, up to ``limit`` of them; empty only at the end of the stream."""
        while self._at == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._chunk, self._at = chunk, 0
        taken = self._chunk[self._at : self._at + limit]
        self._at += len(taken)
        self.offset += len(taken)
        return taken

    def up_to(self, count: int) -> bytes:
        """That many bytes; fewer only at the end of the stream."""
        taken = self.some(count)
        if len(taken) == count:
            return taken
        parts, left = [taken], count - len(taken)
        while left and (taken := self.some(left)):
            parts.append(taken)
            left -= len(taken)
        return b"".join(parts)

    def exactly(self, count: int) -> bytes:
        """That many bytes."""
        taken = self.up_to(count)
        if len(taken) < count:
            raise MalformedError("archive: the data ends before the archive does")
        return taken

    def unread(self, data: bytes) -> None:
        """Give back the bytes that were taken last."""
        if len(data) <= self._at:
            self._at -= len(data)
        else:
            self._chunk, self._at = data + self._chunk[self._at :], 0
        self.offset -= len(data)

    def data(self, size: int) -> Iterator[bytes]:
        """The next bytes, chunk by chunk."""
        left = size
        while left:
            chunk = self.some(left)
            if not chunk:
                raise MalformedError("archive: the data ends before the archive does")
            left -= len(chunk)
            yield chunk

    def skip(self, size: int) -> None:
        """Pass bytes over."""
        for _ in self.data(size):
            pass

    def zeros_to_the_end(self, after: str) -> None:
        """Pass padding over, to the end of the stream. Anything else would be lost unseen."""
        while chunk := self.some(_SLICE):
            if chunk.strip(b"\0"):
                raise MalformedError(f"archive: there is data after {after}")
