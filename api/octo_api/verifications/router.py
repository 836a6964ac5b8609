"""``/v1/providers/{name}:verify`` and ``/v1/jobs/{uid}/checks``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Response
from fastapi.responses import StreamingResponse

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.errors import InvalidStateError
from octo_api.jobs.manifest import order_of
from octo_api.jobs.router import IdempotencyKey
from octo_api.paging import JobIdPath, ObjectNamePath
from octo_api.routing.base import BaseRouter
from octo_api.services import Services
from octo_api.streams import Form, wanted_form, writer
from octo_api.verifications.schemas import Verification, VerifyRequest, verify_options
from octo_core.db.job_reads import JobRecord
from octo_core.domain.report import Check

Accept = Annotated[
    str | None,
    Header(
        include_in_schema=False,
        description="`application/jsonl` or `text/event-stream` for a stream; else the answer is one document.",
    ),
]
_STREAMED = {form.value: {"schema": {"type": "string"}} for form in Form}
_ANSWER = {"description": "What was found; a stream of it if Accept names one.", "content": _STREAMED}


class VerificationRouter(BaseRouter):
    """Whether a provider would work: secrets, connection, host key, login, listing, keys, bucket."""

    prefix = "/v1"
    tag = "providers"

    def register_routes(self) -> None:
        self.add(
            "POST",
            "/providers/{name}:verify",
            self.verify,
            access=Scope.PROVIDERS_VERIFY,
            action="providers.verify",
            status=202,
            errors=(404, 409),
            model=Verification,
            answers={202: _ANSWER},
        )
        self.add(
            "GET",
            "/jobs/{uid}/checks",
            self.checks,
            access=Scope.JOBS_READ,
            action="jobs.checks",
            errors=(404,),
            model=Verification,
            answers={200: _ANSWER},
        )

    async def verify(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        name: ObjectNamePath,
        body: VerifyRequest | None = None,
        idempotency_key: IdempotencyKey = None,
        accept: Accept = None,
    ) -> Response:
        """Try every step of a run in a short run of its own, which moves nothing, and tell what each came to.

        With `Accept: application/jsonl` or `text/event-stream` each step is sent as it comes (`check`), and at last
        the whole (`verification`). Without, the answer is 202 at once, and `Location` leads to what is found.
        """
        context.namespace = (body and body.namespace) or services.namespace
        provider = await services.providers.get(context.namespace, name) if caller.may_use(context.namespace) else {}
        if "container" in provider.get("spec", {}):
            raise InvalidStateError("The provider is of type container: there is nothing that Octo could verify.")
        order = order_of(verify_options(name), provider=name, namespace=context.namespace)
        created = await services.jobs.create(caller, order, idempotency_key=idempotency_key)
        context.resource = created.record.uid
        await created.settled()
        answer = await _answer(services, created.record, accept, status=202)
        answer.headers["Location"] = f"{self.prefix}/jobs/{created.record.uid}/checks"
        return answer

    async def checks(self, services: ServicesDep, caller: CallerDep, uid: JobIdPath, accept: Accept = None) -> Response:
        """What a verification has found; as a stream, if `Accept` names one, until it is over."""
        return await _answer(services, await services.jobs.get(caller, uid), accept, status=200)


async def _answer(services: Services, record: JobRecord, accept: str | None, *, status: int) -> Response:
    form = wanted_form(accept)
    if form is None:
        found = await services.verifications.get(record)
        return Response(found.model_dump_json(by_alias=True), status, media_type="application/json")
    return StreamingResponse(_events(services, record, form), status, media_type=form.value)


async def _events(services: Services, record: JobRecord, form: Form) -> AsyncIterator[bytes]:
    write = writer(form)
    async for found in services.verifications.follow(record):
        yield write("check" if isinstance(found, Check) else "verification", found)
