"""Octo by its REST API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import httpx

from octo_cli.backend import AuditFilter, FileFilter, JobFilter, KeyOrder, LogWish, Order, is_id
from octo_cli.errors import CliError, NotFoundError
from octo_cli.exits import Exit
from octo_cli.pages import PAGE, everything
from octo_cli.session import Session
from octo_cli.tail import Told, followed
from octo_client import Client, ProblemError, UnreachableError, models


class RestBackend:
    """A ``Backend``. ``session`` is asked for its client before each call, so that it can change it."""

    def __init__(self, session: Session, *, url: str, namespace: str | None) -> None:
        self._session = session
        self._url = url
        self._namespace = namespace

    @property
    def _client(self) -> Client:
        return self._session.client

    def close(self) -> None:
        """All connections."""
        self._session.close()

    def error_of(self, error: Exception) -> CliError | None:
        """By its problem document."""
        return error_of(error, self._url)

    # ---- runs -----------------------------------------------------------------------------------

    def job(self, reference: str) -> models.Job:
        """By id, or by name."""
        if is_id(reference):
            return self._client.jobs_get(reference)
        page = self._client.jobs_list(namespace=self._namespace, name=reference, limit=1)
        for found in _whole(page.items):
            return found
        raise NotFoundError(f"there is no run {reference}", "`octo ls` lists them.")

    def jobs(self, wanted: JobFilter) -> Iterable[models.Job]:
        """From the history."""

        def read(cursor: str | None) -> _JobPage:
            page = self._client.jobs_list(
                namespace=self._namespace,
                provider=wanted.provider,
                state=[models.State(state) for state in wanted.states] or None,
                failure_category=[models.Category(category) for category in wanted.categories] or None,
                label_selector=wanted.labels,
                requested_by=wanted.requested_by,
                schedule=wanted.schedule,
                created_after=wanted.created_after,
                created_before=wanted.created_before,
                limit=PAGE,
                cursor=cursor,
            )
            return _JobPage(page)

        return everything(read)

    def run(self, order: Order) -> models.Job:
        """A POST."""
        body = models.JobRequest.model_validate(
            {
                **order.options,
                "provider": order.provider,
                **({"labels": dict(order.labels)} if order.labels else {}),
                **({"namespace": self._namespace} if self._namespace else {}),
            }
        )
        return self._client.jobs_create(body, idempotency_key=order.idempotency_key)

    def cancel(self, job: models.Job, *, reason: str | None, force: bool) -> models.Job:
        """Asking twice is asking once."""
        body = models.CancelRequest.model_validate(
            {"mode": "Force" if force else "Graceful", **({"reason": reason} if reason else {})}
        )
        return self._client.jobs_cancel(job.id, body)

    def rerun(self, job: models.Job, *, failed_files: bool, idempotency_key: str | None) -> models.Job:
        """All of it or what failed."""
        mode = models.RerunMode.FAILED_FILES if failed_files else models.RerunMode.ALL
        return self._client.jobs_rerun(job.id, models.RerunRequest(mode=mode), idempotency_key=idempotency_key)

    def explain(self, job: models.Job) -> models.Explanation:
        """As the server sees it."""
        return self._client.jobs_explain(job.id)

    def log(self, job: models.Job, wish: LogWish) -> Iterator[str]:
        """From the pod or the archive."""
        query: dict[str, Any] = {
            "attempt": wish.attempt,
            "worker": wish.worker or None,
            "tailLines": wish.tail,
            "sinceSeconds": wish.since_seconds,
            "timestamps": wish.timestamps or None,
        }
        path = f"/v1/jobs/{job.id}/logs"
        if not wish.follow:
            with self._client.stream(path, **query) as response:
                yield from response.iter_lines()
            return
        told = Told(timestamps=wish.timestamps)

        def read() -> Iterator[str]:
            asked = {**query, "follow": True, "timestamps": True}
            if told.since is not None:
                asked |= {"since": told.since, "sinceSeconds": None, "tailLines": None}
            with self._client.stream(path, **asked) as response:
                told.begin()
                yield from response.iter_lines()

        yield from followed(told, read, _passes)

    def files(self, job: models.Job, wanted: FileFilter) -> Iterable[models.JobFile]:
        """One row for each object."""
        return everything(
            lambda cursor: self._client.jobs_files(
                job.id,
                outcome=models.FileOutcome(wanted.outcome) if wanted.outcome else None,
                category=models.Category(wanted.category) if wanted.category else None,
                path_prefix=wanted.path_prefix,
                limit=PAGE,
                cursor=cursor,
            )
        )

    # ---- providers ------------------------------------------------------------------------------

    def providers(self) -> Iterable[models.Provider]:
        """Of the namespace."""
        return everything(
            lambda cursor: self._client.providers_list(namespace=self._namespace, limit=PAGE, cursor=cursor)
        )

    def provider(self, name: str) -> models.Provider:
        """With its conditions."""
        return self._client.providers_get(name, namespace=self._namespace)

    def verify(self, name: str) -> models.Verification:
        """Once: no key is given, so each call is a verification of its own."""
        return self._client.providers_verify(name, models.VerifyRequest.model_validate(self._in_namespace()))

    def checks(self, job_id: str) -> models.Verification:
        """What was found so far."""
        return self._client.jobs_checks(job_id)

    def ledger(self, name: str, *, path_prefix: str | None) -> Iterable[models.LedgerEntry]:
        """By path."""
        return everything(
            lambda cursor: self._client.providers_ledger(
                name, namespace=self._namespace, path_prefix=path_prefix, limit=PAGE, cursor=cursor
            )
        )

    # ---- schedules ------------------------------------------------------------------------------

    def schedule(self, name: str, *, count: int) -> models.ProviderSchedule:
        """With the next times."""
        return self._client.providers_schedule(name, namespace=self._namespace, count=count)

    def trigger(self, name: str, *, idempotency_key: str | None) -> models.Job:
        """A run of the schedule, now."""
        body = models.TriggerRequest.model_validate(self._in_namespace())
        return self._client.providers_trigger(name, body, idempotency_key=idempotency_key)

    def backfill(self, name: str, start: datetime, end: datetime, *, dry_run: bool) -> models.Backfill:
        """A tick has one run, however often this is asked for."""
        body = models.BackfillRequest.model_validate({"start": start, "end": end, **self._in_namespace()})
        return self._client.providers_backfill(name, body, dry_run="All" if dry_run else None)

    # ---- keys and audit -------------------------------------------------------------------------

    def keys(self, *, subject: str | None) -> Iterable[models.ApiKey]:
        """Without their secrets."""
        return everything(lambda cursor: self._client.api_keys_list(subject=subject, limit=PAGE, cursor=cursor))

    def create_key(self, order: KeyOrder) -> models.NewApiKey:
        """With no more rights than the caller's."""
        document = {
            "subject": order.subject,
            "scopes": list(order.scopes),
            "namespaces": list(order.namespaces),
            **({"description": order.description} if order.description else {}),
            **({"expiresAt": order.expires_at} if order.expires_at else {}),
        }
        return self._client.api_keys_create(models.ApiKeyRequest.model_validate(document))

    def rotate_key(self, key_id: str, *, overlap_seconds: int | None) -> models.NewApiKey:
        """The old one goes on for a while."""
        body = {} if overlap_seconds is None else {"overlapSeconds": overlap_seconds}
        return self._client.api_keys_rotate(key_id, models.RotateKeyRequest.model_validate(body))

    def revoke_key(self, key_id: str) -> models.ApiKey:
        """At once."""
        return self._client.api_keys_revoke(key_id)

    def audit(self, wanted: AuditFilter) -> Iterable[models.AuditRecord]:
        """As far as the caller may see it."""
        return everything(
            lambda cursor: self._client.audit_list(
                namespace=self._namespace,
                actor=wanted.actor,
                action=wanted.action,
                outcome=models.AuditOutcome(wanted.outcome) if wanted.outcome else None,
                resource=wanted.resource,
                since=wanted.since,
                until=wanted.until,
                limit=PAGE,
                cursor=cursor,
            )
        )

    def _in_namespace(self) -> dict[str, str]:
        return {"namespace": self._namespace} if self._namespace else {}


def _whole(items: list[models.Job] | list[models.PartialJob]) -> list[models.Job]:
    """No fields were picked, so these are whole."""
    return [item for item in items if isinstance(item, models.Job)]


class _JobPage:
    """A page of whole runs."""

    def __init__(self, page: models.JobPage) -> None:
        self.items = _whole(page.items)
        self.next_cursor = page.next_cursor


# ---- errors -----------------------------------------------------------------------------------------

_CODES = {
    400: Exit.USAGE,
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    404: Exit.NOT_FOUND,
    408: Exit.UNAVAILABLE,
    409: Exit.CONFLICT,
    410: Exit.NOT_FOUND,
    412: Exit.CONFLICT,
    413: Exit.USAGE,
    422: Exit.USAGE,
    428: Exit.CONFLICT,
    429: Exit.UNAVAILABLE,
}


def _passes(error: Exception) -> bool:
    """Whether a server that answered before may answer again: it is replaced, or the way to it broke."""
    if isinstance(error, ProblemError):
        return error.problem.retryable
    return isinstance(error, UnreachableError | httpx.TransportError)


def error_of(error: Exception, url: str) -> CliError | None:
    """What to tell a person of an error of the client."""
    if isinstance(error, ProblemError):
        return _problem(error.problem)
    if isinstance(error, UnreachableError):
        return CliError(f"{url} does not answer", Exit.UNAVAILABLE, f"Is it the right address? ({error})")
    if isinstance(error, httpx.TransportError):
        return CliError(f"the connection to {url} broke: {error}", Exit.UNAVAILABLE, "Try again.")
    return None


def _problem(problem: models.Problem) -> CliError:
    wrong = [f"{found.pointer}: {found.detail}" for found in problem.errors or ()]
    message = "; ".join([problem.detail.rstrip("."), *wrong])
    code = _CODES.get(problem.status, Exit.UNAVAILABLE if problem.status >= 500 else Exit.USAGE)
    return CliError(f"{message} ({problem.code})", code, _hint(problem))


def _hint(problem: models.Problem) -> str:
    if problem.status == 401:
        return "Sign in: octo login URL"
    if problem.status == 403:
        return "The key lacks a scope or the namespace: `octo keys ls` shows what a key may do."
    if problem.retryable:
        later = f" in {problem.retry_after} s" if problem.retry_after else ""
        return f"Try again{later}. For the server's log: request {problem.request_id}."
    return f"For the server's log: request {problem.request_id}." if problem.status >= 500 else ""
