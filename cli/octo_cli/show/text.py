"""Text for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with nothing in it that would command a terminal: names of files and logs are other people's words."""
    return "".join(char if char.isprintable() or char == "\t" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def size(count: float) -> str:
    """Bytes for people: ``1.2 MB``."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.95 or unit == "TB":
            return f"{count:.1f} {unit}"
    raise AssertionError("TB ends it")
