"""Which files of a listing a run takes."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from octo_core.domain.model import Model


class SelectionPolicy(StrEnum):
    """NewOnly: not stored yet. ChangedOrNew: or differs in size or time from what was stored. All: every one.
    Explicit: those that ``selection.files`` names, stored or not."""

    NEW_ONLY = "NewOnly"
    CHANGED_OR_NEW = "ChangedOrNew"
    ALL = "All"
    EXPLICIT = "Explicit"


class Refetch(Model):
    """A file to fetch again, once, whatever the policy says: by the next run that begins, and by no later one.

    The object that comes of it carries the id, which is how a run knows that it has been done: neither a crash nor
    a clock can have it done twice or never.
    """

    path: str = Field(min_length=1, max_length=1024, description="The file's path, as it is listed.")
    id: str = Field(
        min_length=1, max_length=64, pattern="^[A-Za-z0-9._-]+$", description="Another id asks for another fetch."
    )


class OverwritePolicy(StrEnum):
    """What becomes of an object that is already stored under a selected file's key.

    Never: it stays, and the file fails if its content is another. IfChanged: it is replaced if the content is
    another and the object was made from the same path. Always: it is replaced.
    """

    NEVER = "Never"
    IF_CHANGED = "IfChanged"
    ALWAYS = "Always"
