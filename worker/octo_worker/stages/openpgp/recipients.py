"""Reads from the beginning of an OpenPGP message whom it is encrypted to."""

from __future__ import annotations

import base64

_KEY_PACKET, _PASSPHRASE_PACKET = 1, 3


def recipients(head: bytes) -> list[str]:
    """Whom an OpenPGP message is encrypted to, by its first bytes: ids of keys, or a passphrase."""
    if head.startswith(b"-----BEGIN PGP MESSAGE"):
        armored = head.replace(b"\r\n", b"\n").partition(b"\n\n")[2].partition(b"\n-----")[0].partition(b"\n=")[0]
        text = b"".join(armored.split())
        try:
            head = base64.b64decode(text[: len(text) // 4 * 4])
        except ValueError:
            return []
    found, at = [], 0
    while (packet := _packet(head, at)) is not None:
        tag, start, at = packet
        body = head[start:at]
        if tag == _PASSPHRASE_PACKET:
            found.append("a passphrase")
        elif tag != _KEY_PACKET:
            break
        elif body[:1] == b"\x03" and len(body) > 9:
            found.append(f"key {body[1:9].hex().upper()}" if any(body[1:9]) else "a key that is not named")
    return found


def _packet(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The packet at an offset: its tag, and where its body begins and ends; None if it is cut, or of unknown length."""
    if at + 6 > len(data) or not data[at] & 0x80:
        return None
    first, length = data[at], data[at + 1]
    if not first & 0x40:
        size = 1 << (first & 3)
        if size == 8:
            return None
        tag, start = first >> 2 & 15, at + 1 + size
        length = int.from_bytes(data[at + 1 : start], "big")
    elif length < 192:
        tag, start = first & 63, at + 2
    elif length < 224:
        tag, start, length = first & 63, at + 3, (length - 192 << 8) + data[at + 2] + 192
    elif length == 255:
        tag, start, length = first & 63, at + 6, int.from_bytes(data[at + 2 : at + 6], "big")
    else:
        return None
    return (tag, start, start + length) if start + length <= len(data) else None
