"""Reads archives as they stream by: regular files only, and only under harmless names."""

from __future__ import annotations

from collections.abc import Iterator

from octo_core.domain.provider import Unpack
from octo_worker.layout import ArchiveKind
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.archive import tar, zip
from octo_worker.stages.archive.member import Member

__all__ = ["Member", "members"]


def members(kind: ArchiveKind, chunks: Iterator[bytes], limits: Unpack, source_size: int) -> Iterator[Member]:
    """Every regular file of the archive, in its order.

    The bytes of each must be read before the next is asked for; what is left unread is passed over. Ends well only
    if ``chunks`` did and the whole archive has been checked, a zip against its central directory: until then nothing
    is known to be right about any member, so none may become visible before.

    ``source_size`` is that of the file on the server, for the limits on what members of a zip expand to. A tar does
    not expand; what it came out of has been counted there.
    """
    if kind is ArchiveKind.TAR:
        return tar.members(chunks, limits)
    return zip.members(chunks, limits, ExpansionMeter(source_size, limits))
