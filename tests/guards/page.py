"""The page of the guards."""

from __future__ import annotations

from collections.abc import Iterable

from tests.guards.guard import INVARIANTS, Guard

HEAD = """# Guards

Ten things always hold of a run. Each hangs on some places in the controller's code, the guards below. `make guards`
takes them out of a copy of the code, one at a time, and demands that the tests named beside it fail; it wrote this page
when all of them did.
"""


def page(guards: Iterable[Guard]) -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    held = list(guards)
    for number, invariant in INVARIANTS.items():
        parts.append(f"\n## {number}. {invariant}\n\n| Guard | In | Noticed by |\n| --- | --- | --- |\n")
        parts += [_row(guard) for guard in held if guard.invariant == number]
    return "".join(parts)


def _row(guard: Guard) -> str:
    tests = "<br>".join(f"`{test.rpartition('::')[2]}`" for test in guard.tests)
    return f"| {guard.says} | `{guard.file}` | {tests} |\n"
