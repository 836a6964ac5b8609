"""Documents of the ledger."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from octo_api.jobs.schemas import DNS_LABEL
from octo_core.domain.model import Model, Time
from octo_core.domain.provider import MAX_REFETCH


class LedgerEntry(Model):
    """What is stored of one source file, or of one member of an archive."""

    source_path: str = Field(description="Path on the server, as listed.")
    member: str = Field(description="Path within the archive; empty if it is none.")
    key: str | None = Field(description="S3 key of the object.")
    source_size: int = Field(description="Bytes on the server.")
    source_modified_at: Time | None
    source_sha256: str | None
    size: int | None = Field(description="Bytes of the object.")
    sha256: str | None = Field(description="Of the object, hex.")
    refetch: str | None = Field(description="Id of the last reset that a run has carried out.")
    job_uid: str = Field(serialization_alias="jobId", description="`id` of the run that stored it.")
    stored_at: Time


class LedgerPage(Model):
    """A page of a provider's ledger, by path."""

    items: tuple[LedgerEntry, ...]
    next_cursor: str | None = Field(description="None on the last page.")


class ResetRequest(Model):
    """Body of ``POST /v1/providers/{name}/ledger:reset``."""

    namespace: str | None = Field(
        default=None, min_length=1, max_length=63, pattern=DNS_LABEL, description="Default: the installation's own."
    )
    paths: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] = Field(
        min_length=1, max_length=MAX_REFETCH, description="`sourcePath` of each file."
    )
    reason: str | None = Field(default=None, max_length=256, description="For the audit log.")


class Reset(Model):
    """A file that the next run fetches again."""

    source_path: str
    id: str = Field(description="Stands in the ledger's `refetch` once it is done.")
    known: bool = Field(description="Whether the ledger has the file. If not, look whether the path is right.")


class ResetResult(Model):
    """What will be fetched again."""

    items: tuple[Reset, ...]
