"""Undoes gzip, member after member, in bounded steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from isal.isal_zlib import MAX_WBITS, Decompress, IsalError, decompressobj

from octo_worker.failure import MalformedError
from octo_worker.limits import ExpansionMeter

STEP = 1 << 20
_GZIP = 16 + MAX_WBITS
_ERROR = cast(type[Exception], IsalError)  # its stub declares an instance


async def inflate(stream: AsyncIterator[bytes], meter: ExpansionMeter) -> AsyncGenerator[bytes]:
    """The expanded bytes. Ends well only at the end of a member, whose CRC and length have been checked."""
    member: Decompress | None = None
    seen = False
    async for chunk in stream:
        rest, full = chunk, False
        # A step that came out full may have left output inside the decompressor, with no input to go with it.
        while rest or full:
            if member is None:
                # Zeros after the last member are legal: tapes and some mainframe transfers pad with them.
                rest = rest.lstrip(b"\0") if seen else rest
                if not rest:
                    break
                member, seen = decompressobj(wbits=_GZIP), True
            try:
                out = member.decompress(rest, STEP)
            except _ERROR as error:
                raise MalformedError(f"gzip: {error}") from error
            if out:
                meter.add(len(out))
                yield out
            if member.eof:
                rest, full, member = member.unused_data, False, None
            else:
                rest, full = member.unconsumed_tail, len(out) == STEP
    if member is not None or not seen:
        raise MalformedError("gzip: the data ends before the stream does")
