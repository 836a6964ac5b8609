"""``/v1/jobs/{uid}/…``: what there is to know of one run."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ServicesDep
from octo_api.jobs.documents import json_response
from octo_api.jobs.file_manifest import COMPLETE_HEADER, MEDIA_TYPE
from octo_api.jobs.listing import FileQuery
from octo_api.jobs.schemas import AttemptList, FilePage
from octo_api.paging import JobIdPath
from octo_api.routing.base import BaseRouter
from octo_core.domain.explain import Explanation


class JobPartsRouter(BaseRouter):
    """Attempts, files, manifest and explanation of a run."""

    prefix = "/v1/jobs/{uid}"
    tag = "jobs"

    def register_routes(self) -> None:
        read = Scope.JOBS_READ
        self.add(
            "GET", "/attempts", self.attempts, access=read, action="jobs.attempts", errors=(404,), model=AttemptList
        )
        self.add("GET", "/files", self.files, access=read, action="jobs.files", errors=(404,), model=FilePage)
        lines = {"description": "A file a line.", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}
        self.add(
            "GET",
            "/manifest",
            self.manifest,
            access=read,
            action="jobs.manifest",
            errors=(404,),
            answers={200: lines},
        )
        self.add("GET", "/explain", self.explain, access=read, action="jobs.explain", errors=(404,))

    async def attempts(self, services: ServicesDep, caller: CallerDep, uid: JobIdPath) -> Response:
        """The attempts of a run: when, on which pod, and how each ended."""
        record = await services.jobs.get(caller, uid)
        return json_response({"items": record.status.get("attempts", [])})

    async def files(
        self, services: ServicesDep, caller: CallerDep, uid: JobIdPath, query: Annotated[FileQuery, Query()]
    ) -> Response:
        """What became of each file of a run, by path."""
        return json_response(await services.job_lists.files(caller, uid, query))

    async def manifest(self, services: ServicesDep, caller: CallerDep, uid: JobIdPath) -> StreamingResponse:
        """All files of a run as JSON lines, in the form of the manifest beside the data.

        The header `Octo-Manifest-Complete` says whether the run has ended and every file that it counted is there.
        """
        complete, lines = await services.file_manifests.of(caller, uid)
        return StreamingResponse(
            lines, media_type=MEDIA_TYPE, headers={COMPLETE_HEADER: "true" if complete else "false"}
        )

    async def explain(self, services: ServicesDep, caller: CallerDep, uid: JobIdPath) -> Explanation:
        """Why a run is in its state, and what to do about it. Says so if the cluster could not be asked."""
        return await services.explainer.explain(caller, uid)
