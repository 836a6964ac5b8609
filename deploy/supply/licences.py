"""The licences of what goes into the images. ``python -m deploy.supply.licences FILE`` writes the page.

They are what each package's own metadata says, as an SPDX expression where it gives one.
"""

from __future__ import annotations

import importlib.metadata
import sys
from email.message import Message
from pathlib import Path
from typing import Any

from deploy.supply.locks import Pin, in_images
from license_expression import get_spdx_licensing

HEAD = """# Licences

What images hold beside Octo itself (Apache-2.0) and Debian's packages, whose licences lie in their `/usr/share/doc`.
Made from the locks and the packages' own metadata by `make licences`; a test refuses a licence that is not allowed.

| Package | Version | Licence | In |
| --- | --- | --- | --- |
"""

ALLOWED = frozenset(
    {
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
        "Unlicense",
        # Weak copyleft, of a library that is used unchanged; the other of its two licences would not do.
        "EPL-2.0",
    }
)

# Where metadata names no SPDX expression: what it says instead.
_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


_SYNTAX = get_spdx_licensing()


class UnknownLicenceError(Exception):
    """A package that does not say what its licence is."""


def of_metadata(metadata: Message) -> str:
    """The licence that a package's metadata names. Raises UnknownLicenceError."""
    expression = metadata.get("License-Expression")
    if expression:
        return str(expression)
    told = str(metadata.get("License") or "").strip()
    if told and "\n" not in told and len(told) < 60:
        return _SPDX.get(told, told)
    named = [
        str(line).rsplit("::", 1)[-1].strip()
        for line in metadata.get_all("Classifier") or ()
        if str(line).startswith("License ::")
    ]
    known = [_SPDX[name] for name in named if name in _SPDX]
    if not known:
        raise UnknownLicenceError(f"{metadata.get('Name')}: {told[:60] or named}")
    return " AND ".join(dict.fromkeys(known))


def allowed(expression: str) -> bool:
    """Whether Octo may hold what has this licence: one side of each OR, and all of each AND."""
    return _may(_SYNTAX.parse(expression))


def _may(node: Any) -> bool:
    if isinstance(node, _SYNTAX.AND | _SYNTAX.OR):
        return (all if isinstance(node, _SYNTAX.AND) else any)(_may(part) for part in node.args)
    return str(node) in ALLOWED


def licence_of(pin: Pin) -> str:
    """Of a package that is installed here, as `make env` does it with all of them."""
    return of_metadata(importlib.metadata.metadata(pin.name))  # type: ignore[arg-type]


def row(pin: Pin, licence: str, images: list[str]) -> str:
    """Its line of the page."""
    return f"| {pin.name} | {pin.version} | {licence} | {', '.join(images)} |"


def page() -> str:
    """The whole page, as Markdown."""
    return HEAD + "".join(f"{row(pin, licence_of(pin), images)}\n" for pin, images in in_images().items())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
