"""Which files of a listing a run takes."""

from __future__ import annotations

from enum import StrEnum


class SelectionPolicy(StrEnum):
    """NewOnly: not stored yet. ChangedOrNew: or differs in size or time from what was stored. All: every one."""

    NEW_ONLY = "NewOnly"
    CHANGED_OR_NEW = "ChangedOrNew"
    ALL = "All"
