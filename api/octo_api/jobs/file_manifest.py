"""The rows of a run's files as JSON lines, as the worker's manifest has them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from octo_api.auth.caller import Caller
from octo_api.jobs.visible import visible
from octo_core.db import files
from octo_core.db.session import Database
from octo_core.domain.report import FileResult
from octo_core.domain.status import State

MEDIA_TYPE = "application/jsonl"
COMPLETE_HEADER = "Octo-Manifest-Complete"
_STEP = 500


class FileManifests:
    """Read page by page, so that neither memory nor a transaction grows with the number of files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, caller: Caller, uid: str) -> tuple[bool, AsyncIterator[bytes]]:
        """Whether all files of the run are there, and their lines.

        Workers report rows on the way; what they could not report stands in the manifest beside the data only.
        Raises JobNotFoundError or DatabaseUnavailableError.
        """
        async with self._database.transaction() as session:
            record = await visible(session, caller, uid)
            stored, failed = await files.counts(session, uid)
        progress = record.status.get("progress") or {}
        complete = (
            State(record.state).terminal
            and stored >= progress.get("filesDone", 0)
            and failed >= progress.get("filesFailed", 0)
        )
        return complete, self._lines(uid)

    async def _lines(self, uid: str) -> AsyncIterator[bytes]:
        after: tuple[str, str] | None = None
        while True:
            async with self._database.transaction() as session:
                rows = await files.page(session, uid, after=after, limit=_STEP)
            if rows:
                yield b"".join(
                    FileResult.model_validate(row, extra="ignore")
                    .model_dump_json(by_alias=True, exclude_none=True)
                    .encode()
                    + b"\n"
                    for row in rows
                )
            if len(rows) < _STEP:
                return
            after = (rows[-1]["source_path"], rows[-1]["member"])
