# Made from api/openapi/openapi.json by `make api`; change the api instead.

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, TypeVar

from octo_client import models
from octo_client.requests import Request

T = TypeVar("T")


class Operations(ABC):
    """All operations of the API, blocking."""

    @abstractmethod
    def _call(self, kind: type[T] | None, request: Request) -> T:
        """Send, repeat where that helps, and read the answer as ``kind``."""

    def ops_healthz(
        self,
    ) -> dict[str, Any]:
        """The process serves requests."""
        return self._call(
            dict[str, Any],
            Request(
                "GET",
                "/healthz",
            ),
        )

    def ops_readyz(
        self,
    ) -> Any:
        """The process can do its work; else 503, and `checks` names what is away."""
        return self._call(
            Any,
            Request(
                "GET",
                "/readyz",
            ),
        )

    def api_keys_list(
        self,
        *,
        subject: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ApiKeyPage:
        """List the keys for namespaces that are the caller's, the newest first."""
        return self._call(
            models.ApiKeyPage,
            Request(
                "GET",
                "/v1/api-keys",
                query={"subject": subject, "limit": limit, "cursor": cursor},
            ),
        )

    def api_keys_create(
        self,
        body: models.ApiKeyRequest,
    ) -> models.NewApiKey:
        """Make a key with no more rights than the credential of this request. Its secret is in this answer …"""
        return self._call(
            models.NewApiKey,
            Request(
                "POST",
                "/v1/api-keys",
                body=body,
            ),
        )

    def api_keys_get(
        self,
        id: str,
    ) -> models.ApiKey:
        """One key, and when it was last used."""
        return self._call(
            models.ApiKey,
            Request(
                "GET",
                "/v1/api-keys/{id}",
                path_parameters={"id": id},
            ),
        )

    def api_keys_revoke(
        self,
        id: str,
    ) -> models.ApiKey:
        """End a key, and the tokens made from it: at once in this replica, within a minute in all."""
        return self._call(
            models.ApiKey,
            Request(
                "POST",
                "/v1/api-keys/{id}:revoke",
                path_parameters={"id": id},
            ),
        )

    def api_keys_rotate(
        self,
        id: str,
        body: models.RotateKeyRequest | None = None,
    ) -> models.NewApiKey:
        """Make a key that follows this one with the same rights. The old one ends after `overlapSeconds`."""
        return self._call(
            models.NewApiKey,
            Request(
                "POST",
                "/v1/api-keys/{id}:rotate",
                path_parameters={"id": id},
                body=body,
            ),
        )

    def audit_list(
        self,
        *,
        namespace: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        outcome: models.AuditOutcome | None = None,
        resource: str | None = None,
        request_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.AuditPage:
        """Read the audit log, the newest first. What belongs to no namespace is shown to callers for all …"""
        return self._call(
            models.AuditPage,
            Request(
                "GET",
                "/v1/audit",
                query={
                    "namespace": namespace,
                    "actor": actor,
                    "action": action,
                    "outcome": outcome,
                    "resource": resource,
                    "requestId": request_id,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def auth_jwks(
        self,
    ) -> models.KeySet:
        """The public keys under which tokens from login can be verified, as a JSON Web Key Set (RFC 7517)."""
        return self._call(
            models.KeySet,
            Request(
                "GET",
                "/v1/auth/jwks",
            ),
        )

    def auth_login(
        self,
    ) -> models.Token:
        """Exchange the API key in `X-API-Key` for a short-lived token with the same rights."""
        return self._call(
            models.Token,
            Request(
                "POST",
                "/v1/auth/login",
            ),
        )

    def auth_renew(
        self,
    ) -> models.Token:
        """Exchange a token from login, before it expires, for another one, until its session ends."""
        return self._call(
            models.Token,
            Request(
                "POST",
                "/v1/auth/renew",
            ),
        )

    def auth_verify(
        self,
    ) -> models.CallerIdentity:
        """Say what the credential of this request stands for."""
        return self._call(
            models.CallerIdentity,
            Request(
                "GET",
                "/v1/auth/verify",
            ),
        )

    def events_list(
        self,
        *,
        namespace: str | None = None,
        provider: str | None = None,
        type: list[models.EventType] | None = None,
        job_id: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        last_event_id: int | None = None,
    ) -> models.EventPage:
        """Events of all runs in one order."""
        return self._call(
            models.EventPage,
            Request(
                "GET",
                "/v1/events",
                query={
                    "namespace": namespace,
                    "provider": provider,
                    "type": type,
                    "jobId": job_id,
                    "after": after,
                    "limit": limit,
                },
                headers={"Last-Event-ID": last_event_id},
            ),
        )

    def jobs_list(
        self,
        *,
        namespace: str | None = None,
        provider: str | None = None,
        state: list[models.State] | None = None,
        failure_category: list[models.Category] | None = None,
        label_selector: str | None = None,
        requested_by: str | None = None,
        schedule: str | None = None,
        rerun_of: str | None = None,
        name: str | None = None,
        name_prefix: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        finished_after: datetime | None = None,
        finished_before: datetime | None = None,
        sort: models.JobSort | None = None,
        fields: list[models.JobField] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.JobPage:
        """List runs, live and archived alike, the newest first unless `sort` says otherwise."""
        return self._call(
            models.JobPage,
            Request(
                "GET",
                "/v1/jobs",
                query={
                    "namespace": namespace,
                    "provider": provider,
                    "state": state,
                    "failureCategory": failure_category,
                    "labelSelector": label_selector,
                    "requestedBy": requested_by,
                    "schedule": schedule,
                    "rerunOf": rerun_of,
                    "name": name,
                    "namePrefix": name_prefix,
                    "createdAfter": created_after,
                    "createdBefore": created_before,
                    "startedAfter": started_after,
                    "startedBefore": started_before,
                    "finishedAfter": finished_after,
                    "finishedBefore": finished_before,
                    "sort": sort,
                    "fields": fields,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def jobs_create(
        self,
        body: models.JobRequest,
        *,
        dry_run: str | None = None,
        idempotency_key: str | None = None,
        prefer: str | None = None,
    ) -> models.Job:
        """Run a provider once. The answer comes when the run is accepted for good, or as `Prefer` says."""
        return self._call(
            models.Job,
            Request(
                "POST",
                "/v1/jobs",
                query={"dryRun": dry_run},
                headers={"Idempotency-Key": idempotency_key, "prefer": prefer},
                body=body,
            ),
        )

    def jobs_delete(
        self,
        uid: str,
    ) -> models.Job:
        """Delete the OctoJob, ending it if it runs. Its history stays."""
        return self._call(
            models.Job,
            Request(
                "DELETE",
                "/v1/jobs/{uid}",
                path_parameters={"uid": uid},
            ),
        )

    def jobs_get(
        self,
        uid: str,
        *,
        if_none_match: str | None = None,
    ) -> models.Job:
        """One run, also when its OctoJob is gone."""
        return self._call(
            models.Job,
            Request(
                "GET",
                "/v1/jobs/{uid}",
                path_parameters={"uid": uid},
                headers={"if-none-match": if_none_match},
            ),
        )

    def jobs_patch(
        self,
        uid: str,
        body: models.JobPatch,
        *,
        if_match: str | None = None,
    ) -> models.Job:
        """Hold a run or let it go on, change its priority, or its labels."""
        return self._call(
            models.Job,
            Request(
                "PATCH",
                "/v1/jobs/{uid}",
                path_parameters={"uid": uid},
                headers={"if-match": if_match},
                body=body,
                content_type="application/merge-patch+json",
            ),
        )

    def jobs_attempts(
        self,
        uid: str,
    ) -> models.AttemptList:
        """The attempts of a run: when, on which pod, and how each ended."""
        return self._call(
            models.AttemptList,
            Request(
                "GET",
                "/v1/jobs/{uid}/attempts",
                path_parameters={"uid": uid},
            ),
        )

    def jobs_checks(
        self,
        uid: str,
    ) -> models.Verification:
        """What a verification has found; as a stream, if `Accept` names one, until it is over."""
        return self._call(
            models.Verification,
            Request(
                "GET",
                "/v1/jobs/{uid}/checks",
                path_parameters={"uid": uid},
            ),
        )

    def jobs_events(
        self,
        uid: str,
        *,
        after: int | None = None,
        limit: int | None = None,
        last_event_id: int | None = None,
    ) -> models.EventPage:
        """What a run went through, from its first event on. A stream ends with the event that ends the run."""
        return self._call(
            models.EventPage,
            Request(
                "GET",
                "/v1/jobs/{uid}/events",
                path_parameters={"uid": uid},
                query={"after": after, "limit": limit},
                headers={"Last-Event-ID": last_event_id},
            ),
        )

    def jobs_explain(
        self,
        uid: str,
    ) -> models.Explanation:
        """Why a run is in its state, and what to do about it. Says so if the cluster could not be asked."""
        return self._call(
            models.Explanation,
            Request(
                "GET",
                "/v1/jobs/{uid}/explain",
                path_parameters={"uid": uid},
            ),
        )

    def jobs_files(
        self,
        uid: str,
        *,
        outcome: models.FileOutcome | None = None,
        category: models.Category | None = None,
        attempt: int | None = None,
        path_prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.FilePage:
        """What became of each file of a run, by path."""
        return self._call(
            models.FilePage,
            Request(
                "GET",
                "/v1/jobs/{uid}/files",
                path_parameters={"uid": uid},
                query={
                    "outcome": outcome,
                    "category": category,
                    "attempt": attempt,
                    "pathPrefix": path_prefix,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def jobs_logs(
        self,
        uid: str,
        *,
        follow: bool | None = None,
        attempt: int | None = None,
        worker: int | None = None,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        since: datetime | None = None,
        timestamps: bool | None = None,
    ) -> str:
        """What a run wrote to its log: live from its pod, afterwards from the archive, in one form."""
        return self._call(
            str,
            Request(
                "GET",
                "/v1/jobs/{uid}/logs",
                path_parameters={"uid": uid},
                query={
                    "follow": follow,
                    "attempt": attempt,
                    "worker": worker,
                    "tailLines": tail_lines,
                    "sinceSeconds": since_seconds,
                    "since": since,
                    "timestamps": timestamps,
                },
            ),
        )

    def jobs_manifest(
        self,
        uid: str,
    ) -> str:
        """All files of a run as JSON lines, in the form of the manifest beside the data."""
        return self._call(
            str,
            Request(
                "GET",
                "/v1/jobs/{uid}/manifest",
                path_parameters={"uid": uid},
            ),
        )

    def jobs_cancel(
        self,
        uid: str,
        body: models.CancelRequest | None = None,
    ) -> models.Job:
        """Ask for the end of a run. Asking again answers the same; Graceful may be raised to Force."""
        return self._call(
            models.Job,
            Request(
                "POST",
                "/v1/jobs/{uid}:cancel",
                path_parameters={"uid": uid},
                body=body,
            ),
        )

    def jobs_rerun(
        self,
        uid: str,
        body: models.RerunRequest | None = None,
        *,
        idempotency_key: str | None = None,
        prefer: str | None = None,
    ) -> models.Job:
        """Make a run that repeats one that has ended: all of it, or only the files that failed."""
        return self._call(
            models.Job,
            Request(
                "POST",
                "/v1/jobs/{uid}:rerun",
                path_parameters={"uid": uid},
                headers={"Idempotency-Key": idempotency_key, "prefer": prefer},
                body=body,
            ),
        )

    def jobs_batch(
        self,
        body: models.BatchRequest,
        *,
        idempotency_key: str | None = None,
    ) -> models.BatchResponse:
        """Make up to 1,000 runs. Each has a result of its own, and is as exact as a request of its own."""
        return self._call(
            models.BatchResponse,
            Request(
                "POST",
                "/v1/jobs:batch",
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    def jobs_cancel_many(
        self,
        body: models.BulkCancelRequest,
        *,
        idempotency_key: str | None = None,
    ) -> models.BulkCancelResponse:
        """End all runs that match and have not ended, if they are exactly as many as `expectedCount`; else …"""
        return self._call(
            models.BulkCancelResponse,
            Request(
                "POST",
                "/v1/jobs:cancel",
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    def providers_list(
        self,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ProviderPage:
        """List the providers of a namespace."""
        return self._call(
            models.ProviderPage,
            Request(
                "GET",
                "/v1/providers",
                query={"namespace": namespace, "limit": limit, "cursor": cursor},
            ),
        )

    def providers_create(
        self,
        body: models.ProviderRequest,
        *,
        dry_run: str | None = None,
    ) -> models.Provider:
        """Make a provider. Its secrets stand in Secrets of its namespace, which it names."""
        return self._call(
            models.Provider,
            Request(
                "POST",
                "/v1/providers",
                query={"dryRun": dry_run},
                body=body,
            ),
        )

    def providers_delete(
        self,
        name: str,
        *,
        namespace: str | None = None,
        if_match: str | None = None,
    ) -> None:
        """Delete a provider. Its runs go on to their end, and their history stays."""
        self._call(
            None,
            Request(
                "DELETE",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace},
                headers={"if-match": if_match},
            ),
        )

    def providers_get(
        self,
        name: str,
        *,
        namespace: str | None = None,
    ) -> models.Provider:
        """One provider, with its conditions. Its `ETag` goes into `If-Match` of a change."""
        return self._call(
            models.Provider,
            Request(
                "GET",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace},
            ),
        )

    def providers_patch(
        self,
        name: str,
        body: dict[str, Any],
        *,
        namespace: str | None = None,
        dry_run: str | None = None,
        if_match: str | None = None,
    ) -> models.Provider:
        """Change parts of a provider."""
        return self._call(
            models.Provider,
            Request(
                "PATCH",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace, "dryRun": dry_run},
                headers={"if-match": if_match},
                body=body,
                content_type="application/merge-patch+json",
            ),
        )

    def providers_replace(
        self,
        name: str,
        body: models.ProviderUpdate,
        *,
        namespace: str | None = None,
        dry_run: str | None = None,
        if_match: str | None = None,
    ) -> models.Provider:
        """Write labels and spec of a provider anew. Runs under way go on with what they began with."""
        return self._call(
            models.Provider,
            Request(
                "PUT",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace, "dryRun": dry_run},
                headers={"if-match": if_match},
                body=body,
            ),
        )

    def providers_create_job(
        self,
        name: str,
        body: models.ProviderJobRequest | None = None,
        *,
        dry_run: str | None = None,
        idempotency_key: str | None = None,
        prefer: str | None = None,
    ) -> models.Job:
        """Run this provider once: the same as `POST /v1/jobs` with its name."""
        return self._call(
            models.Job,
            Request(
                "POST",
                "/v1/providers/{name}/jobs",
                path_parameters={"name": name},
                query={"dryRun": dry_run},
                headers={"Idempotency-Key": idempotency_key, "prefer": prefer},
                body=body,
            ),
        )

    def providers_ledger(
        self,
        name: str,
        *,
        namespace: str | None = None,
        path_prefix: str | None = None,
        stored_after: datetime | None = None,
        stored_before: datetime | None = None,
        job_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.LedgerPage:
        """What is stored of the provider's files, by path, as its runs have reported it."""
        return self._call(
            models.LedgerPage,
            Request(
                "GET",
                "/v1/providers/{name}/ledger",
                path_parameters={"name": name},
                query={
                    "namespace": namespace,
                    "pathPrefix": path_prefix,
                    "storedAfter": stored_after,
                    "storedBefore": stored_before,
                    "jobId": job_id,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def providers_reset_ledger(
        self,
        name: str,
        body: models.ResetRequest,
        *,
        idempotency_key: str | None = None,
    ) -> models.ResetResult:
        """Have files fetched again, once, by the next run that begins, whatever the selection policy says."""
        return self._call(
            models.ResetResult,
            Request(
                "POST",
                "/v1/providers/{name}/ledger:reset",
                path_parameters={"name": name},
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    def providers_schedule(
        self,
        name: str,
        *,
        namespace: str | None = None,
        count: int | None = None,
        after: datetime | None = None,
    ) -> models.ProviderSchedule:
        """A provider's schedule, and when it fires next."""
        return self._call(
            models.ProviderSchedule,
            Request(
                "GET",
                "/v1/providers/{name}/schedule",
                path_parameters={"name": name},
                query={"namespace": namespace, "count": count, "after": after},
            ),
        )

    def providers_backfill(
        self,
        name: str,
        body: models.BackfillRequest,
        *,
        dry_run: str | None = None,
    ) -> models.Backfill:
        """Make the runs of all ticks of a span of the past, at most 100, that have none yet."""
        return self._call(
            models.Backfill,
            Request(
                "POST",
                "/v1/providers/{name}/schedule:backfill",
                path_parameters={"name": name},
                query={"dryRun": dry_run},
                body=body,
            ),
        )

    def providers_trigger(
        self,
        name: str,
        body: models.TriggerRequest | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> models.Job:
        """Run a provider now as its schedule would. The ticks to come stay as they are."""
        return self._call(
            models.Job,
            Request(
                "POST",
                "/v1/providers/{name}/schedule:trigger",
                path_parameters={"name": name},
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    def providers_verify(
        self,
        name: str,
        body: models.VerifyRequest | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> models.Verification:
        """Try every step of a run in a short run of its own, which moves nothing, and tell what each came to."""
        return self._call(
            models.Verification,
            Request(
                "POST",
                "/v1/providers/{name}:verify",
                path_parameters={"name": name},
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    def jobs_summary(
        self,
        *,
        namespace: str | None = None,
        days: int | None = None,
    ) -> models.Summary:
        """Count runs by state, and what ended on each day by outcome, of all that the caller may see."""
        return self._call(
            models.Summary,
            Request(
                "GET",
                "/v1/summary",
                query={"namespace": namespace, "days": days},
            ),
        )

    def webhooks_list(
        self,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.WebhookPage:
        """List webhooks by namespace and name."""
        return self._call(
            models.WebhookPage,
            Request(
                "GET",
                "/v1/webhooks",
                query={"namespace": namespace, "limit": limit, "cursor": cursor},
            ),
        )

    def webhooks_create(
        self,
        body: models.WebhookRequest,
    ) -> models.WebhookWithSecret:
        """Have events sent to a URL, from now on. The answer shows the secret that signs them, this once."""
        return self._call(
            models.WebhookWithSecret,
            Request(
                "POST",
                "/v1/webhooks",
                body=body,
            ),
        )

    def webhooks_delete(
        self,
        webhook_id: str,
    ) -> None:
        """Delete a webhook, with the log of its deliveries."""
        self._call(
            None,
            Request(
                "DELETE",
                "/v1/webhooks/{webhook_id}",
                path_parameters={"webhook_id": webhook_id},
            ),
        )

    def webhooks_get(
        self,
        webhook_id: str,
    ) -> models.Webhook:
        """One webhook."""
        return self._call(
            models.Webhook,
            Request(
                "GET",
                "/v1/webhooks/{webhook_id}",
                path_parameters={"webhook_id": webhook_id},
            ),
        )

    def webhooks_update(
        self,
        webhook_id: str,
        body: models.WebhookPatch,
    ) -> models.Webhook:
        """Change what is named of a webhook; disable it, or enable it again."""
        return self._call(
            models.Webhook,
            Request(
                "PATCH",
                "/v1/webhooks/{webhook_id}",
                path_parameters={"webhook_id": webhook_id},
                body=body,
            ),
        )

    def webhooks_deliveries(
        self,
        webhook_id: str,
        *,
        state: models.DeliveryState | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.DeliveryPage:
        """What was sent to a webhook, the newest first."""
        return self._call(
            models.DeliveryPage,
            Request(
                "GET",
                "/v1/webhooks/{webhook_id}/deliveries",
                path_parameters={"webhook_id": webhook_id},
                query={"state": state, "limit": limit, "cursor": cursor},
            ),
        )

    def webhooks_redeliver(
        self,
        webhook_id: str,
        delivery_id: str,
    ) -> models.Delivery:
        """Have a message tried anew, from the start of the schedule, under its id."""
        return self._call(
            models.Delivery,
            Request(
                "POST",
                "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}:redeliver",
                path_parameters={"webhook_id": webhook_id, "delivery_id": delivery_id},
            ),
        )

    def webhooks_rotate_secret(
        self,
        webhook_id: str,
        body: models.RotateSecretRequest | None = None,
    ) -> models.WebhookWithSecret:
        """Make a new secret, shown this once. For a while messages are signed with both."""
        return self._call(
            models.WebhookWithSecret,
            Request(
                "POST",
                "/v1/webhooks/{webhook_id}:rotate-secret",
                path_parameters={"webhook_id": webhook_id},
                body=body,
            ),
        )

    def webhooks_test(
        self,
        webhook_id: str,
    ) -> models.Delivery:
        """Send a `webhook.test` now, once, and say how that went."""
        return self._call(
            models.Delivery,
            Request(
                "POST",
                "/v1/webhooks/{webhook_id}:test",
                path_parameters={"webhook_id": webhook_id},
            ),
        )


class AsyncOperations(ABC):
    """All operations of the API, for asyncio."""

    @abstractmethod
    async def _call(self, kind: type[T] | None, request: Request) -> T:
        """Send, repeat where that helps, and read the answer as ``kind``."""

    async def ops_healthz(
        self,
    ) -> dict[str, Any]:
        """The process serves requests."""
        return await self._call(
            dict[str, Any],
            Request(
                "GET",
                "/healthz",
            ),
        )

    async def ops_readyz(
        self,
    ) -> Any:
        """The process can do its work; else 503, and `checks` names what is away."""
        return await self._call(
            Any,
            Request(
                "GET",
                "/readyz",
            ),
        )

    async def api_keys_list(
        self,
        *,
        subject: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ApiKeyPage:
        """List the keys for namespaces that are the caller's, the newest first."""
        return await self._call(
            models.ApiKeyPage,
            Request(
                "GET",
                "/v1/api-keys",
                query={"subject": subject, "limit": limit, "cursor": cursor},
            ),
        )

    async def api_keys_create(
        self,
        body: models.ApiKeyRequest,
    ) -> models.NewApiKey:
        """Make a key with no more rights than the credential of this request. Its secret is in this answer …"""
        return await self._call(
            models.NewApiKey,
            Request(
                "POST",
                "/v1/api-keys",
                body=body,
            ),
        )

    async def api_keys_get(
        self,
        id: str,
    ) -> models.ApiKey:
        """One key, and when it was last used."""
        return await self._call(
            models.ApiKey,
            Request(
                "GET",
                "/v1/api-keys/{id}",
                path_parameters={"id": id},
            ),
        )

    async def api_keys_revoke(
        self,
        id: str,
    ) -> models.ApiKey:
        """End a key, and the tokens made from it: at once in this replica, within a minute in all."""
        return await self._call(
            models.ApiKey,
            Request(
                "POST",
                "/v1/api-keys/{id}:revoke",
                path_parameters={"id": id},
            ),
        )

    async def api_keys_rotate(
        self,
        id: str,
        body: models.RotateKeyRequest | None = None,
    ) -> models.NewApiKey:
        """Make a key that follows this one with the same rights. The old one ends after `overlapSeconds`."""
        return await self._call(
            models.NewApiKey,
            Request(
                "POST",
                "/v1/api-keys/{id}:rotate",
                path_parameters={"id": id},
                body=body,
            ),
        )

    async def audit_list(
        self,
        *,
        namespace: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        outcome: models.AuditOutcome | None = None,
        resource: str | None = None,
        request_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.AuditPage:
        """Read the audit log, the newest first. What belongs to no namespace is shown to callers for all …"""
        return await self._call(
            models.AuditPage,
            Request(
                "GET",
                "/v1/audit",
                query={
                    "namespace": namespace,
                    "actor": actor,
                    "action": action,
                    "outcome": outcome,
                    "resource": resource,
                    "requestId": request_id,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def auth_jwks(
        self,
    ) -> models.KeySet:
        """The public keys under which tokens from login can be verified, as a JSON Web Key Set (RFC 7517)."""
        return await self._call(
            models.KeySet,
            Request(
                "GET",
                "/v1/auth/jwks",
            ),
        )

    async def auth_login(
        self,
    ) -> models.Token:
        """Exchange the API key in `X-API-Key` for a short-lived token with the same rights."""
        return await self._call(
            models.Token,
            Request(
                "POST",
                "/v1/auth/login",
            ),
        )

    async def auth_renew(
        self,
    ) -> models.Token:
        """Exchange a token from login, before it expires, for another one, until its session ends."""
        return await self._call(
            models.Token,
            Request(
                "POST",
                "/v1/auth/renew",
            ),
        )

    async def auth_verify(
        self,
    ) -> models.CallerIdentity:
        """Say what the credential of this request stands for."""
        return await self._call(
            models.CallerIdentity,
            Request(
                "GET",
                "/v1/auth/verify",
            ),
        )

    async def events_list(
        self,
        *,
        namespace: str | None = None,
        provider: str | None = None,
        type: list[models.EventType] | None = None,
        job_id: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        last_event_id: int | None = None,
    ) -> models.EventPage:
        """Events of all runs in one order."""
        return await self._call(
            models.EventPage,
            Request(
                "GET",
                "/v1/events",
                query={
                    "namespace": namespace,
                    "provider": provider,
                    "type": type,
                    "jobId": job_id,
                    "after": after,
                    "limit": limit,
                },
                headers={"Last-Event-ID": last_event_id},
            ),
        )

    async def jobs_list(
        self,
        *,
        namespace: str | None = None,
        provider: str | None = None,
        state: list[models.State] | None = None,
        failure_category: list[models.Category] | None = None,
        label_selector: str | None = None,
        requested_by: str | None = None,
        schedule: str | None = None,
        rerun_of: str | None = None,
        name: str | None = None,
        name_prefix: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        finished_after: datetime | None = None,
        finished_before: datetime | None = None,
        sort: models.JobSort | None = None,
        fields: list[models.JobField] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.JobPage:
        """List runs, live and archived alike, the newest first unless `sort` says otherwise."""
        return await self._call(
            models.JobPage,
            Request(
                "GET",
                "/v1/jobs",
                query={
                    "namespace": namespace,
                    "provider": provider,
                    "state": state,
                    "failureCategory": failure_category,
                    "labelSelector": label_selector,
                    "requestedBy": requested_by,
                    "schedule": schedule,
                    "rerunOf": rerun_of,
                    "name": name,
                    "namePrefix": name_prefix,
                    "createdAfter": created_after,
                    "createdBefore": created_before,
                    "startedAfter": started_after,
                    "startedBefore": started_before,
                    "finishedAfter": finished_after,
                    "finishedBefore": finished_before,
                    "sort": sort,
                    "fields": fields,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def jobs_create(
        self,
        body: models.JobRequest,
        *,
        dry_run: str | None = None,
        idempotency_key: str | None = None,
        prefer: str | None = None,
    ) -> models.Job:
        """Run a provider once. The answer comes when the run is accepted for good, or as `Prefer` says."""
        return await self._call(
            models.Job,
            Request(
                "POST",
                "/v1/jobs",
                query={"dryRun": dry_run},
                headers={"Idempotency-Key": idempotency_key, "prefer": prefer},
                body=body,
            ),
        )

    async def jobs_delete(
        self,
        uid: str,
    ) -> models.Job:
        """Delete the OctoJob, ending it if it runs. Its history stays."""
        return await self._call(
            models.Job,
            Request(
                "DELETE",
                "/v1/jobs/{uid}",
                path_parameters={"uid": uid},
            ),
        )

    async def jobs_get(
        self,
        uid: str,
        *,
        if_none_match: str | None = None,
    ) -> models.Job:
        """One run, also when its OctoJob is gone."""
        return await self._call(
            models.Job,
            Request(
                "GET",
                "/v1/jobs/{uid}",
                path_parameters={"uid": uid},
                headers={"if-none-match": if_none_match},
            ),
        )

    async def jobs_patch(
        self,
        uid: str,
        body: models.JobPatch,
        *,
        if_match: str | None = None,
    ) -> models.Job:
        """Hold a run or let it go on, change its priority, or its labels."""
        return await self._call(
            models.Job,
            Request(
                "PATCH",
                "/v1/jobs/{uid}",
                path_parameters={"uid": uid},
                headers={"if-match": if_match},
                body=body,
                content_type="application/merge-patch+json",
            ),
        )

    async def jobs_attempts(
        self,
        uid: str,
    ) -> models.AttemptList:
        """The attempts of a run: when, on which pod, and how each ended."""
        return await self._call(
            models.AttemptList,
            Request(
                "GET",
                "/v1/jobs/{uid}/attempts",
                path_parameters={"uid": uid},
            ),
        )

    async def jobs_checks(
        self,
        uid: str,
    ) -> models.Verification:
        """What a verification has found; as a stream, if `Accept` names one, until it is over."""
        return await self._call(
            models.Verification,
            Request(
                "GET",
                "/v1/jobs/{uid}/checks",
                path_parameters={"uid": uid},
            ),
        )

    async def jobs_events(
        self,
        uid: str,
        *,
        after: int | None = None,
        limit: int | None = None,
        last_event_id: int | None = None,
    ) -> models.EventPage:
        """What a run went through, from its first event on. A stream ends with the event that ends the run."""
        return await self._call(
            models.EventPage,
            Request(
                "GET",
                "/v1/jobs/{uid}/events",
                path_parameters={"uid": uid},
                query={"after": after, "limit": limit},
                headers={"Last-Event-ID": last_event_id},
            ),
        )

    async def jobs_explain(
        self,
        uid: str,
    ) -> models.Explanation:
        """Why a run is in its state, and what to do about it. Says so if the cluster could not be asked."""
        return await self._call(
            models.Explanation,
            Request(
                "GET",
                "/v1/jobs/{uid}/explain",
                path_parameters={"uid": uid},
            ),
        )

    async def jobs_files(
        self,
        uid: str,
        *,
        outcome: models.FileOutcome | None = None,
        category: models.Category | None = None,
        attempt: int | None = None,
        path_prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.FilePage:
        """What became of each file of a run, by path."""
        return await self._call(
            models.FilePage,
            Request(
                "GET",
                "/v1/jobs/{uid}/files",
                path_parameters={"uid": uid},
                query={
                    "outcome": outcome,
                    "category": category,
                    "attempt": attempt,
                    "pathPrefix": path_prefix,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def jobs_logs(
        self,
        uid: str,
        *,
        follow: bool | None = None,
        attempt: int | None = None,
        worker: int | None = None,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        since: datetime | None = None,
        timestamps: bool | None = None,
    ) -> str:
        """What a run wrote to its log: live from its pod, afterwards from the archive, in one form."""
        return await self._call(
            str,
            Request(
                "GET",
                "/v1/jobs/{uid}/logs",
                path_parameters={"uid": uid},
                query={
                    "follow": follow,
                    "attempt": attempt,
                    "worker": worker,
                    "tailLines": tail_lines,
                    "sinceSeconds": since_seconds,
                    "since": since,
                    "timestamps": timestamps,
                },
            ),
        )

    async def jobs_manifest(
        self,
        uid: str,
    ) -> str:
        """All files of a run as JSON lines, in the form of the manifest beside the data."""
        return await self._call(
            str,
            Request(
                "GET",
                "/v1/jobs/{uid}/manifest",
                path_parameters={"uid": uid},
            ),
        )

    async def jobs_cancel(
        self,
        uid: str,
        body: models.CancelRequest | None = None,
    ) -> models.Job:
        """Ask for the end of a run. Asking again answers the same; Graceful may be raised to Force."""
        return await self._call(
            models.Job,
            Request(
                "POST",
                "/v1/jobs/{uid}:cancel",
                path_parameters={"uid": uid},
                body=body,
            ),
        )

    async def jobs_rerun(
        self,
        uid: str,
        body: models.RerunRequest | None = None,
        *,
        idempotency_key: str | None = None,
        prefer: str | None = None,
    ) -> models.Job:
        """Make a run that repeats one that has ended: all of it, or only the files that failed."""
        return await self._call(
            models.Job,
            Request(
                "POST",
                "/v1/jobs/{uid}:rerun",
                path_parameters={"uid": uid},
                headers={"Idempotency-Key": idempotency_key, "prefer": prefer},
                body=body,
            ),
        )

    async def jobs_batch(
        self,
        body: models.BatchRequest,
        *,
        idempotency_key: str | None = None,
    ) -> models.BatchResponse:
        """Make up to 1,000 runs. Each has a result of its own, and is as exact as a request of its own."""
        return await self._call(
            models.BatchResponse,
            Request(
                "POST",
                "/v1/jobs:batch",
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    async def jobs_cancel_many(
        self,
        body: models.BulkCancelRequest,
        *,
        idempotency_key: str | None = None,
    ) -> models.BulkCancelResponse:
        """End all runs that match and have not ended, if they are exactly as many as `expectedCount`; else …"""
        return await self._call(
            models.BulkCancelResponse,
            Request(
                "POST",
                "/v1/jobs:cancel",
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    async def providers_list(
        self,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ProviderPage:
        """List the providers of a namespace."""
        return await self._call(
            models.ProviderPage,
            Request(
                "GET",
                "/v1/providers",
                query={"namespace": namespace, "limit": limit, "cursor": cursor},
            ),
        )

    async def providers_create(
        self,
        body: models.ProviderRequest,
        *,
        dry_run: str | None = None,
    ) -> models.Provider:
        """Make a provider. Its secrets stand in Secrets of its namespace, which it names."""
        return await self._call(
            models.Provider,
            Request(
                "POST",
                "/v1/providers",
                query={"dryRun": dry_run},
                body=body,
            ),
        )

    async def providers_delete(
        self,
        name: str,
        *,
        namespace: str | None = None,
        if_match: str | None = None,
    ) -> None:
        """Delete a provider. Its runs go on to their end, and their history stays."""
        await self._call(
            None,
            Request(
                "DELETE",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace},
                headers={"if-match": if_match},
            ),
        )

    async def providers_get(
        self,
        name: str,
        *,
        namespace: str | None = None,
    ) -> models.Provider:
        """One provider, with its conditions. Its `ETag` goes into `If-Match` of a change."""
        return await self._call(
            models.Provider,
            Request(
                "GET",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace},
            ),
        )

    async def providers_patch(
        self,
        name: str,
        body: dict[str, Any],
        *,
        namespace: str | None = None,
        dry_run: str | None = None,
        if_match: str | None = None,
    ) -> models.Provider:
        """Change parts of a provider."""
        return await self._call(
            models.Provider,
            Request(
                "PATCH",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace, "dryRun": dry_run},
                headers={"if-match": if_match},
                body=body,
                content_type="application/merge-patch+json",
            ),
        )

    async def providers_replace(
        self,
        name: str,
        body: models.ProviderUpdate,
        *,
        namespace: str | None = None,
        dry_run: str | None = None,
        if_match: str | None = None,
    ) -> models.Provider:
        """Write labels and spec of a provider anew. Runs under way go on with what they began with."""
        return await self._call(
            models.Provider,
            Request(
                "PUT",
                "/v1/providers/{name}",
                path_parameters={"name": name},
                query={"namespace": namespace, "dryRun": dry_run},
                headers={"if-match": if_match},
                body=body,
            ),
        )

    async def providers_create_job(
        self,
        name: str,
        body: models.ProviderJobRequest | None = None,
        *,
        dry_run: str | None = None,
        idempotency_key: str | None = None,
        prefer: str | None = None,
    ) -> models.Job:
        """Run this provider once: the same as `POST /v1/jobs` with its name."""
        return await self._call(
            models.Job,
            Request(
                "POST",
                "/v1/providers/{name}/jobs",
                path_parameters={"name": name},
                query={"dryRun": dry_run},
                headers={"Idempotency-Key": idempotency_key, "prefer": prefer},
                body=body,
            ),
        )

    async def providers_ledger(
        self,
        name: str,
        *,
        namespace: str | None = None,
        path_prefix: str | None = None,
        stored_after: datetime | None = None,
        stored_before: datetime | None = None,
        job_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.LedgerPage:
        """What is stored of the provider's files, by path, as its runs have reported it."""
        return await self._call(
            models.LedgerPage,
            Request(
                "GET",
                "/v1/providers/{name}/ledger",
                path_parameters={"name": name},
                query={
                    "namespace": namespace,
                    "pathPrefix": path_prefix,
                    "storedAfter": stored_after,
                    "storedBefore": stored_before,
                    "jobId": job_id,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def providers_reset_ledger(
        self,
        name: str,
        body: models.ResetRequest,
        *,
        idempotency_key: str | None = None,
    ) -> models.ResetResult:
        """Have files fetched again, once, by the next run that begins, whatever the selection policy says."""
        return await self._call(
            models.ResetResult,
            Request(
                "POST",
                "/v1/providers/{name}/ledger:reset",
                path_parameters={"name": name},
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    async def providers_schedule(
        self,
        name: str,
        *,
        namespace: str | None = None,
        count: int | None = None,
        after: datetime | None = None,
    ) -> models.ProviderSchedule:
        """A provider's schedule, and when it fires next."""
        return await self._call(
            models.ProviderSchedule,
            Request(
                "GET",
                "/v1/providers/{name}/schedule",
                path_parameters={"name": name},
                query={"namespace": namespace, "count": count, "after": after},
            ),
        )

    async def providers_backfill(
        self,
        name: str,
        body: models.BackfillRequest,
        *,
        dry_run: str | None = None,
    ) -> models.Backfill:
        """Make the runs of all ticks of a span of the past, at most 100, that have none yet."""
        return await self._call(
            models.Backfill,
            Request(
                "POST",
                "/v1/providers/{name}/schedule:backfill",
                path_parameters={"name": name},
                query={"dryRun": dry_run},
                body=body,
            ),
        )

    async def providers_trigger(
        self,
        name: str,
        body: models.TriggerRequest | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> models.Job:
        """Run a provider now as its schedule would. The ticks to come stay as they are."""
        return await self._call(
            models.Job,
            Request(
                "POST",
                "/v1/providers/{name}/schedule:trigger",
                path_parameters={"name": name},
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    async def providers_verify(
        self,
        name: str,
        body: models.VerifyRequest | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> models.Verification:
        """Try every step of a run in a short run of its own, which moves nothing, and tell what each came to."""
        return await self._call(
            models.Verification,
            Request(
                "POST",
                "/v1/providers/{name}:verify",
                path_parameters={"name": name},
                headers={"Idempotency-Key": idempotency_key},
                body=body,
            ),
        )

    async def jobs_summary(
        self,
        *,
        namespace: str | None = None,
        days: int | None = None,
    ) -> models.Summary:
        """Count runs by state, and what ended on each day by outcome, of all that the caller may see."""
        return await self._call(
            models.Summary,
            Request(
                "GET",
                "/v1/summary",
                query={"namespace": namespace, "days": days},
            ),
        )

    async def webhooks_list(
        self,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.WebhookPage:
        """List webhooks by namespace and name."""
        return await self._call(
            models.WebhookPage,
            Request(
                "GET",
                "/v1/webhooks",
                query={"namespace": namespace, "limit": limit, "cursor": cursor},
            ),
        )

    async def webhooks_create(
        self,
        body: models.WebhookRequest,
    ) -> models.WebhookWithSecret:
        """Have events sent to a URL, from now on. The answer shows the secret that signs them, this once."""
        return await self._call(
            models.WebhookWithSecret,
            Request(
                "POST",
                "/v1/webhooks",
                body=body,
            ),
        )

    async def webhooks_delete(
        self,
        webhook_id: str,
    ) -> None:
        """Delete a webhook, with the log of its deliveries."""
        await self._call(
            None,
            Request(
                "DELETE",
                "/v1/webhooks/{webhook_id}",
                path_parameters={"webhook_id": webhook_id},
            ),
        )

    async def webhooks_get(
        self,
        webhook_id: str,
    ) -> models.Webhook:
        """One webhook."""
        return await self._call(
            models.Webhook,
            Request(
                "GET",
                "/v1/webhooks/{webhook_id}",
                path_parameters={"webhook_id": webhook_id},
            ),
        )

    async def webhooks_update(
        self,
        webhook_id: str,
        body: models.WebhookPatch,
    ) -> models.Webhook:
        """Change what is named of a webhook; disable it, or enable it again."""
        return await self._call(
            models.Webhook,
            Request(
                "PATCH",
                "/v1/webhooks/{webhook_id}",
                path_parameters={"webhook_id": webhook_id},
                body=body,
            ),
        )

    async def webhooks_deliveries(
        self,
        webhook_id: str,
        *,
        state: models.DeliveryState | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.DeliveryPage:
        """What was sent to a webhook, the newest first."""
        return await self._call(
            models.DeliveryPage,
            Request(
                "GET",
                "/v1/webhooks/{webhook_id}/deliveries",
                path_parameters={"webhook_id": webhook_id},
                query={"state": state, "limit": limit, "cursor": cursor},
            ),
        )

    async def webhooks_redeliver(
        self,
        webhook_id: str,
        delivery_id: str,
    ) -> models.Delivery:
        """Have a message tried anew, from the start of the schedule, under its id."""
        return await self._call(
            models.Delivery,
            Request(
                "POST",
                "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}:redeliver",
                path_parameters={"webhook_id": webhook_id, "delivery_id": delivery_id},
            ),
        )

    async def webhooks_rotate_secret(
        self,
        webhook_id: str,
        body: models.RotateSecretRequest | None = None,
    ) -> models.WebhookWithSecret:
        """Make a new secret, shown this once. For a while messages are signed with both."""
        return await self._call(
            models.WebhookWithSecret,
            Request(
                "POST",
                "/v1/webhooks/{webhook_id}:rotate-secret",
                path_parameters={"webhook_id": webhook_id},
                body=body,
            ),
        )

    async def webhooks_test(
        self,
        webhook_id: str,
    ) -> models.Delivery:
        """Send a `webhook.test` now, once, and say how that went."""
        return await self._call(
            models.Delivery,
            Request(
                "POST",
                "/v1/webhooks/{webhook_id}:test",
                path_parameters={"webhook_id": webhook_id},
            ),
        )
