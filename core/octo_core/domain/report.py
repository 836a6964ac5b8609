"""What a run says of itself: rows for files, progress on the way, and its outcome at the end.

Progress and rows travel to the api's report endpoint while the run goes on; the outcome is the exit
code and the container's termination message, which reach the controller whatever else is down.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from octo_core.domain.failure import Category
from octo_core.domain.model import Model, Time
from octo_core.domain.status import ManifestRef, Progress

TERMINATION_MESSAGE_LIMIT = 4096
"""Bytes the kubelet keeps of a container's termination message."""


class FileOutcome(StrEnum):
    """What became of one object of one file."""

    STORED = "Stored"
    ALREADY_STORED = "AlreadyStored"
    FAILED = "Failed"


class FileResult(Model):
    """One row: an object stored from a source file, or a source file that failed.

    An archive has a row for each member, and one with an empty ``member`` if it failed as a whole.
    """

    source_path: str = Field(min_length=1, max_length=4096, description="Path on the server, as listed.")
    member: str = Field(default="", max_length=4096, description="Path within the archive; empty if it is none.")
    outcome: FileOutcome
    key: str | None = Field(default=None, max_length=1024, description="S3 key, for a stored object.")
    source_size: int = Field(ge=0, description="Bytes on the server.")
    source_modified_at: Time | None = None
    source_sha256: str | None = Field(default=None, max_length=64, description="Of the bytes on the server, hex.")
    size: int | None = Field(default=None, ge=0, description="Bytes of the object.")
    sha256: str | None = Field(default=None, max_length=64, description="Of the object, hex.")
    category: Category | None = None
    message: str | None = Field(default=None, max_length=1024)
    refetch: str | None = Field(default=None, max_length=64, description="Of the refetch that this was, its id.")
    tries: int = Field(default=1, ge=1, description="How often the file was tried in its attempt.")
    finished_at: Time


class CheckOutcome(StrEnum):
    """How a step of a verification ended. Skipped: it was not needed, or what it needs has failed."""

    PASSED = "Passed"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Check(Model):
    """A step of a verification: what was tried, what was seen, and if it failed, what to do."""

    number: int = Field(ge=1, le=64, description="Counts the steps, in their order.")
    name: str = Field(min_length=1, max_length=64)
    outcome: CheckOutcome
    message: str = Field(default="", max_length=2048)
    category: Category | None = Field(default=None, description="Of a failure.")
    resolution: str = Field(default="", max_length=1024, description="What to do about a failure.")
    finished_at: Time


class Report(Model):
    """Body of ``POST /v1/reports/{uid}``: rows since the last one, and how far the run is."""

    attempt: int = Field(ge=1)
    shard: int = Field(default=0, ge=0, description="Which of the workers that share the attempt this is.")
    progress: Progress
    files: tuple[FileResult, ...] = Field(default=(), max_length=500)
    checks: tuple[Check, ...] = Field(default=(), max_length=64, description="Of a run in mode Verify.")


class Outcome(Model):
    """The termination message: how the attempt ended."""

    category: Category | None = Field(default=None, description="None for success.")
    reason: str = Field(max_length=256, description="Completed, NoNewFiles, CompletedWithSkips, or why it failed.")
    message: str = Field(default="", max_length=1024)
    progress: Progress = Progress()
    manifest: ManifestRef | None = None
