"""Looks for known weaknesses in what goes into the images: ``python -m deploy.supply.audit``.

uv asks the OSV database. Where that cannot be reached it says SKIPPED and ends well: a machine without a way out is no
weakness. Ends with 1 if there is one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from deploy.supply.locks import IMAGES, Pin, lock_of, pins

UV = Path(sys.executable).with_name("uv")
# What uv says when the database did not answer, whatever the cause.
UNREACHABLE = ("Request failed", "error sending request", "dns error", "operation timed out")


class Verdict(Enum):
    """What came of an audit."""

    CLEAN = "no known weakness"
    FOUND = "known weaknesses"
    SKIPPED = "SKIPPED: the database of weaknesses cannot be reached"
    BROKEN = "the audit itself failed"


def audit(found: Sequence[Pin], *arguments: str) -> tuple[Verdict, str]:
    """The verdict on these packages, and what uv said; ``arguments`` are more of uv's."""
    with tempfile.TemporaryDirectory(prefix="octo-audit-") as folder:
        # A script's own list of dependencies is the one form of a lock without uv.lock that `uv audit` takes.
        script = Path(folder) / "pins.py"
        listed = "".join(f'#   "{pin.name}=={pin.version}",\n' for pin in found)
        script.write_text(f'# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n{listed}# ]\n# ///\n')
        options = ("--preview-features", "audit-command", "--python-version", "3.11", "--script", str(script))
        done = subprocess.run(  # noqa: S603 the project's own uv
            [str(UV), "audit", *options, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    said = f"{done.stdout}{done.stderr}".strip()
    if done.returncode == 0:
        return Verdict.CLEAN, said
    if any(words in said for words in UNREACHABLE):
        return Verdict.SKIPPED, said
    # Both end with 1 or more; only one of them names weaknesses.
    return (Verdict.FOUND if "vulnerabilit" in said else Verdict.BROKEN), said


def main() -> int:
    """Audit every image; the exit code."""
    verdicts = []
    for image in IMAGES:
        verdict, said = audit(pins(lock_of(image).read_text()))
        verdicts.append(verdict)
        sys.stderr.write(f"[octo] audit of {image}: {verdict.value}\n")
        if verdict in (Verdict.FOUND, Verdict.BROKEN):
            sys.stderr.write(f"{said}\n")
        if verdict is Verdict.SKIPPED:
            # The same for the others.
            break
    return int(any(verdict in (Verdict.FOUND, Verdict.BROKEN) for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
