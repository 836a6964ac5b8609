"""What a guard is, and the controller's source without one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "controller"
PACKAGE = "octo_controller"
TESTS = "tests/unit/octo_controller"

INVARIANTS = {
    1: "The Job of an attempt has one name, is owned, and is adopted rather than doubled",
    2: "An attempt whose Job is known is never made again",
    3: "Finished only when the pods are gone or terminal; a cancel ends in bounded time",
    4: "Every state that is not the end has a deadline",
    5: "A Postgres row is a projection of the OctoJob and only moves forward",
    6: "A deleted OctoJob is archived first, by a finalizer that fails open",
    7: "One knob for retries: the retry policy, by category",
    8: "Concurrency per key, in order, safe over restarts",
    9: "A restart loses and doubles nothing; a stalled watch fails the liveness probe",
    10: "Of two replicas one is active, by its Lease",
}
"""By number, as the design has them."""


class GuardError(AssertionError):
    """A guard's text is not in its file exactly once."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One place in the code without which an invariant does not hold."""

    invariant: int
    says: str
    """What it does, in a line."""
    file: str
    """Below the package."""
    text: str
    """As it stands there, once."""
    without: str
    """What takes its place so that it is gone."""
    tests: tuple[str, ...]
    """Of which each must fail then; below ``TESTS``."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The tests as pytest names them."""
        return tuple(f"{TESTS}/{test}" for test in self.tests)

    def changed(self) -> str:
        """Its file without it. Raises GuardError."""
        whole = (SOURCE / PACKAGE / self.file).read_text(encoding="utf-8")
        if whole.count(self.text) != 1:
            raise GuardError(f"{self.file}: {whole.count(self.text)} times, not once: {self.text!r}")
        return whole.replace(self.text, self.without)

    def take_out(self, folder: Path) -> None:
        """Put the controller's source without it into an empty folder. Raises GuardError."""
        changed = self.changed()
        # With what is compiled, which stays good for all files but the changed one.
        shutil.copytree(SOURCE / PACKAGE, folder / PACKAGE)
        (folder / PACKAGE / self.file).write_text(changed, encoding="utf-8")
