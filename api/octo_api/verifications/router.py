"""``/v1/providers/{name}:verify`` and ``/v1/jobs/{uid}/checks``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, Response

from octo_api.auth.caller import Caller, Scope
from octo_api.deps import CallerDep, ContextDep, ReauthenticateDep, ServicesDep
from octo_api.errors import InvalidStateError
from octo_api.events.streaming import Reauthenticate
from octo_api.jobs.manifest import order_of
from octo_api.jobs.router import REPLAYED_HEADER, IdempotencyKey
from octo_api.live import Still
from octo_api.paging import JobIdPath, ObjectNamePath
from octo_api.routing.base import BaseRouter
from octo_api.services import Services
from octo_api.streams import HEARTBEAT, Form, wanted_form, writer
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
        again: ReauthenticateDep,
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
        stream = _asked(services, caller, again, accept)
        order = order_of(verify_options(name), provider=name, namespace=context.namespace)
        created = await services.jobs.create(caller, order, idempotency_key=idempotency_key)
        context.resource = created.record.uid
        await created.settled()
        answer = await _answer(services, created.record, stream, status=202)
        answer.headers["Location"] = f"{self.prefix}/jobs/{created.record.uid}/checks"
        if created.replayed:
            answer.headers[REPLAYED_HEADER] = "true"
        return answer

    async def checks(
        self,
        services: ServicesDep,
        caller: CallerDep,
        again: ReauthenticateDep,
        uid: JobIdPath,
        accept: Accept = None,
    ) -> Response:
        """What a verification has found; as a stream, if `Accept` names one, until it is over."""
        record = await services.jobs.get(caller, uid)
        return await _answer(services, record, _asked(services, caller, again, accept), status=200)


@dataclass(frozen=True, slots=True)
class _Stream:
    """The stream that is asked for, which has a place."""

    form: Form
    still: Still


def _asked(services: Services, caller: Caller, again: Reauthenticate, accept: str | None) -> _Stream | None:
    """Raises TooManyStreamsError, before anything is begun."""
    form = wanted_form(accept)
    return None if form is None else _Stream(form, services.live.begin(caller, again))


async def _answer(services: Services, record: JobRecord, stream: _Stream | None, *, status: int) -> Response:
    if stream is None:
        found = await services.verifications.get(record)
        return Response(found.model_dump_json(by_alias=True), status, media_type="application/json")
    events = _events(services, record, stream.form, stream.still)
    return services.live.answer(events, status=status, media_type=stream.form.value)


async def _events(services: Services, record: JobRecord, form: Form, still: Still) -> AsyncIterator[bytes]:
    write, clock = writer(form), asyncio.get_running_loop().time
    said = clock()
    async for found in services.verifications.follow(record, still):
        if found is not None:
            yield write("check" if isinstance(found, Check) else "verification", found)
            said = clock()
        elif form is Form.SSE and clock() - said >= services.stream_limits.heartbeat_seconds:
            yield HEARTBEAT
            said = clock()
