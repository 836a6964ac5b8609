"""Labels of runs: selectors for them, and which of them a user may set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from octo_core.domain import names
from octo_core.domain.errors import InvalidError

_PREFIX = r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?"
_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY, _VALUE = f"{_PREFIX}{_NAME}", f"({_NAME})?"
_TERM = f"{_KEY}==?{_VALUE}"

SELECTOR_PATTERN = f"^{_TERM}(,{_TERM})*$"
"""Equality only, as Kubernetes writes it: ``team=risk,desk=fx``."""

LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=f"^{_KEY}$")]
LabelValue = Annotated[str, Field(max_length=63, pattern=f"^{_VALUE}$")]
MAX_LABELS = 64
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=MAX_LABELS, description="As in Kubernetes.")]

_RESERVED_PREFIX = f"{names.GROUP}/"
_RESERVED = (names.LABEL_MANAGED_BY,)


def parse_selector(selector: str) -> tuple[tuple[str, str], ...]:
    """The labels that a selector of ``SELECTOR_PATTERN`` asks for, sorted, so that equal ones are the same filter."""
    terms = (re.split("==?", term, maxsplit=1) for term in selector.split(","))
    return tuple(sorted({(key, value) for key, value in terms}))


def check_own(labels: Mapping[str, object]) -> None:
    """Raise InvalidError for a label that is Octo's to set."""
    for key in labels:
        if key.startswith(_RESERVED_PREFIX) or key in _RESERVED:
            pointer = key.replace("~", "~0").replace("/", "~1")
            raise InvalidError(f"the label {key} is set by Octo", field=f"/labels/{pointer}")
