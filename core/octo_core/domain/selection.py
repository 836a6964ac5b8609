"""Which files of a listing a run takes."""

from __future__ import annotations

from enum import StrEnum


class SelectionPolicy(StrEnum):
    """NewOnly: not stored yet. ChangedOrNew: or differs in size or time from what was stored. All: every one.
    Explicit: those that ``selection.files`` names, stored or not."""

    NEW_ONLY = "NewOnly"
    CHANGED_OR_NEW = "ChangedOrNew"
    ALL = "All"
    EXPLICIT = "Explicit"


class OverwritePolicy(StrEnum):
    """What becomes of an object that is already stored under a selected file's key.

    Never: it stays, and the file fails if its content is another. IfChanged: it is replaced if the content is
    another and the object was made from the same path. Always: it is replaced.
    """

    NEVER = "Never"
    IF_CHANGED = "IfChanged"
    ALWAYS = "Always"
