"""The reference page of the metrics. ``python -m octo_core.metrics_reference FILE TITLE=MODULE:CALLABLE...`` writes it.

Each callable makes the metrics of one process and has them in ``registry``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from prometheus_client import CollectorRegistry

HEAD = """# Metrics

Made from the code by `make crds`. No label holds the name of an object, except that of a provider: they are few.
"""


def section(title: str, registry: CollectorRegistry) -> str:
    """The metrics of one process, by name."""
    rows = ["| Metric | Type | Meaning |", "| --- | --- | --- |"]
    for family in sorted(registry.collect(), key=lambda family: family.name):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append(f"| `{name}` | {family.type} | {family.documentation} |")
    return f"## {title}\n\n" + "\n".join(rows) + "\n"


def page(processes: Mapping[str, str]) -> str:
    """The whole page, as Markdown; ``processes`` maps a title to ``module:callable``."""
    sections = []
    for title, where in processes.items():
        module, name = where.split(":")
        sections.append(section(title, getattr(import_module(module), name)().registry))
    return "\n".join([HEAD, *sections])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(dict(argument.split("=", 1) for argument in sys.argv[2:])))
