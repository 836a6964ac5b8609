"""Looks after what gpg does not: whether an armored message is the end of its file."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from octo_core.domain.failure import Category
from octo_worker.failure import Failed

_END = b"-----END PGP MESSAGE-----"
_PADDING = b" \t\r\n\0\x1a"
"""What editors and mainframes put after the last line."""


def whole(chunks: Iterator[bytes]) -> Generator[bytes]:
    """The chunks as they are; raises if an armored message has more after it than an end of file may have.

    gpg passes over text around an armor. Before it that is harmless. After it, it may be a second message that was
    damaged, and would be lost without a word.
    """
    binary = ended = False
    seen = b""
    for chunk in chunks:
        # No byte of armor has the high bit, and the first one of a binary message always has.
        if not seen and not ended and chunk and not binary:
            binary = chunk[0] >= 0x80
        if not binary:
            rest = chunk
            if not ended:
                seen += chunk
                at = seen.find(_END)
                ended = at >= 0
                rest, seen = (seen[at + len(_END) :], b"") if ended else (b"", seen[-len(_END) + 1 :])
            if ended and rest.strip(_PADDING):
                raise Failed(Category.INTEGRITY, "OpenPGP: the file goes on after the end of the armored message")
        yield chunk
