# Made from api/openapi/openapi.json by `make api`; change the api instead.

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)


class Scope(StrEnum):
    FIELD_ = "*"
    JOBS_READ = "jobs:read"
    JOBS_CREATE = "jobs:create"
    JOBS_UPDATE = "jobs:update"
    JOBS_CANCEL = "jobs:cancel"
    JOBS_DELETE = "jobs:delete"
    LOGS_READ = "logs:read"
    PROVIDERS_READ = "providers:read"
    PROVIDERS_WRITE = "providers:write"
    PROVIDERS_VERIFY = "providers:verify"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"


class ApiKeyRequest(BaseModel):
    """
    A key to make.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    description: str | None = None
    expires_at: Annotated[
        AwareDatetime | None,
        Field(
            alias="expiresAt",
            description="Without it, the key ends with the one that made it, if that ends.",
        ),
    ] = None
    namespaces: Annotated[list[str], Field(description="`*` stands for all.")]
    scopes: list[Scope]
    subject: Annotated[
        str,
        Field(
            description="Whom the key speaks for: in audit rows, in `requestedBy`, and as owner of Idempotency-Keys."
        ),
    ]


class AuditOutcome(StrEnum):
    """
    Whether what was asked for was taken; ``status`` tells what came of it.
    """

    ALLOWED = "Allowed"
    DENIED = "Denied"


class AuditRecord(BaseModel):
    """
    One mutation or refusal.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    action: Annotated[str, Field(description="Noun and verb, such as `jobs.create`.")]
    actor: Annotated[
        str | None,
        Field(description="Subject of the credential; none if there was no valid one."),
    ]
    at: AwareDatetime
    client: Annotated[str | None, Field(description="Address of the client.")]
    details: dict[str, Any]
    id: str
    namespace: str | None
    outcome: Annotated[
        AuditOutcome,
        Field(description="`Denied`: refused, for who asked or for what, as `status` tells; nothing was changed."),
    ]
    request_id: Annotated[str, Field(alias="requestId")]
    resource: Annotated[str | None, Field(description="Id or name of what it was done to.")]
    status: Annotated[int, Field(description="HTTP status of the answer.")]


class BackfillRequest(BaseModel):
    """
    Body of ``POST /v1/providers/{name}/schedule:backfill``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    end: Annotated[
        AwareDatetime,
        Field(description="The first moment that does not count any more; not in the future."),
    ]
    namespace: Annotated[str | None, Field(description="Default: the installation's own.")] = None
    start: Annotated[AwareDatetime, Field(description="The first moment; a tick at it counts.")]


class BackfilledTick(BaseModel):
    """
    A tick, and the run that stands for it.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    created: Annotated[
        bool,
        Field(description="Whether it was made now; else it had been made before."),
    ]
    job_id: Annotated[
        str | None,
        Field(alias="jobId", description="`id` of the run; None in a dry run."),
    ]
    job_name: Annotated[str, Field(alias="jobName", description="Of the OctoJob.")]
    scheduled_time: Annotated[AwareDatetime, Field(alias="scheduledTime")]


class BulkCancelResult(BaseModel):
    """
    What became of the wish to end one run.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    id: str
    problem: dict[str, Any] | None
    status: Annotated[
        int,
        Field(description="The HTTP status that a request for this run alone would have had."),
    ]


class CallerIdentity(BaseModel):
    """
    What a credential stands for.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    expires_at: Annotated[AwareDatetime | None, Field(alias="expiresAt")]
    key_id: Annotated[
        str | None,
        Field(
            alias="keyId",
            description="Of the API key; None for a ServiceAccount or OIDC user.",
        ),
    ]
    namespaces: Annotated[list[str], Field(description="`*` stands for all.")]
    scopes: list[str]
    subject: str


class CancelMode(StrEnum):
    """
    Graceful gives the worker its grace period; Force ends the pod at once.
    """

    GRACEFUL = "Graceful"
    FORCE = "Force"


class CancelRequest(BaseModel):
    """
    Body of ``POST /v1/jobs/{uid}:cancel``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    mode: CancelMode | None = None
    reason: str | None = None


class Category(StrEnum):
    """
    Failure categories. ``retryPolicy.retryOn`` speaks in these.
    """

    INFRA = "Infra"
    REMOTE_UNAVAILABLE = "RemoteUnavailable"
    SINK_UNAVAILABLE = "SinkUnavailable"
    AUTH = "Auth"
    HOST_KEY = "HostKey"
    DECRYPT = "Decrypt"
    INTEGRITY = "Integrity"
    UNPACK_LIMIT = "UnpackLimit"
    CONFIG = "Config"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"
    UNKNOWN = "Unknown"


class CheckOutcome(StrEnum):
    """
    How a step of a verification ended. Skipped: it was not needed, or what it needs has failed.
    """

    PASSED = "Passed"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class ClusterEvent(BaseModel):
    """
    A Kubernetes Event about the run or one of its pods.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    about: Annotated[str, Field(description="Kind and name: `Pod/night-run-1-x7k2p`.")]
    count: int
    last_seen_at: Annotated[AwareDatetime | None, Field(alias="lastSeenAt")]
    message: str
    reason: str
    type: str


class ClusterView(StrEnum):
    """
    What the cluster said: the OctoJob is there, it is gone, or there was no answer and this is from the mirror.
    """

    LIVE = "Live"
    GONE = "Gone"
    UNAVAILABLE = "Unavailable"


class ConcurrencyPolicy(StrEnum):
    """
    What a run does when its key is busy: go ahead, fail, end the others, or wait its turn.
    """

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"
    ENQUEUE = "Enqueue"


class ConditionStatus(StrEnum):
    """
    metav1.ConditionStatus.
    """

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Container(BaseModel):
    """
    The user's own main logic: any image, under the same control as the built-in one.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    args: list[str] | None = None
    command: list[str] | None = None
    env: Annotated[list[dict[str, Any]] | None, Field(description="As in a pod's container.")] = None
    env_from: Annotated[
        list[dict[str, Any]] | None,
        Field(alias="envFrom", description="As in a pod's container."),
    ] = None
    image: str
    volume_mounts: Annotated[
        list[dict[str, Any]] | None,
        Field(alias="volumeMounts", description="As in a pod's container."),
    ] = None
    volumes: Annotated[list[dict[str, Any]] | None, Field(description="As in a pod.")] = None


class DeliveryState(StrEnum):
    """
    What became of a message.
    """

    PENDING = "Pending"
    DELIVERED = "Delivered"
    FAILED = "Failed"


class DispositionAction(StrEnum):
    """
    What is done with a source file once all of it is stored: left, moved, or deleted.
    """

    NONE = "None"
    MOVE = "Move"
    DELETE = "Delete"


class EventFailure(BaseModel):
    """
    Why a run failed.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    category: Category
    message: str | None = None
    reason: str
    resolution: str | None = None
    retryable: bool | None = None


class EventType(StrEnum):
    """
    What happened. A reader must be ready for types that a later version adds.
    """

    JOB_CREATED = "job.created"
    JOB_PENDING = "job.pending"
    JOB_QUEUED = "job.queued"
    JOB_SUSPENDED = "job.suspended"
    JOB_STARTING = "job.starting"
    JOB_RUNNING = "job.running"
    JOB_RETRYING = "job.retrying"
    JOB_CANCELLING = "job.cancelling"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_DELETED = "job.deleted"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"


class Failure(BaseModel):
    """
    Why the run failed and what a person can do about it.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    category: Category
    exit_code: Annotated[int | None, Field(alias="exitCode")] = None
    message: str | None = None
    reason: str
    resolution: str | None = None
    retryable: bool | None = None


class FileOutcome(StrEnum):
    """
    What became of one object of one file.
    """

    STORED = "Stored"
    ALREADY_STORED = "AlreadyStored"
    FAILED = "Failed"


class FileResult(BaseModel):
    """
    One row: an object stored from a source file, or a source file that failed.

    An archive has a row for each member, and one with an empty ``member`` if it failed as a whole.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    category: Category | None = None
    finished_at: Annotated[AwareDatetime, Field(alias="finishedAt")]
    key: Annotated[str | None, Field(description="S3 key, for a stored object.")] = None
    member: Annotated[str | None, Field(description="Path within the archive; empty if it is none.")] = None
    message: str | None = None
    outcome: FileOutcome
    refetch: Annotated[str | None, Field(description="Of the refetch that this was, its id.")] = None
    sha256: Annotated[str | None, Field(description="Of the object, hex.")] = None
    size: Annotated[int | None, Field(description="Bytes of the object.")] = None
    source_modified_at: Annotated[AwareDatetime | None, Field(alias="sourceModifiedAt")] = None
    source_path: Annotated[str, Field(alias="sourcePath", description="Path on the server, as listed.")]
    source_sha256: Annotated[
        str | None,
        Field(alias="sourceSha256", description="Of the bytes on the server, hex."),
    ] = None
    source_size: Annotated[int, Field(alias="sourceSize", description="Bytes on the server.")]
    tries: Annotated[int | None, Field(description="How often the file was tried in its attempt.")] = None


class JobField(StrEnum):
    """
    JobField: one of these words.
    """

    ATTEMPT = "attempt"
    ATTEMPTS = "attempts"
    CONDITIONS = "conditions"
    CREATED_AT = "createdAt"
    DELETED_AT = "deletedAt"
    FAILURE = "failure"
    FINISHED_AT = "finishedAt"
    ID = "id"
    LABELS = "labels"
    MANIFEST = "manifest"
    NAME = "name"
    NAMESPACE = "namespace"
    NEXT_ATTEMPT_AT = "nextAttemptAt"
    PRIORITY = "priority"
    PROGRESS = "progress"
    PROVIDER = "provider"
    QUEUE_POSITION = "queuePosition"
    REASON = "reason"
    REQUESTED_BY = "requestedBy"
    RERUN_OF = "rerunOf"
    SCHEDULE = "schedule"
    SPEC = "spec"
    STARTED_AT = "startedAt"
    STATE = "state"


class JobFile(BaseModel):
    """
    What became of one object of one file.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    attempt: int
    category: Category | None = None
    finished_at: Annotated[AwareDatetime, Field(alias="finishedAt")]
    key: Annotated[str | None, Field(description="S3 key, for a stored object.")] = None
    member: Annotated[str | None, Field(description="Path within the archive; empty if it is none.")] = None
    message: str | None = None
    outcome: FileOutcome
    refetch: Annotated[str | None, Field(description="Of the refetch that this was, its id.")] = None
    sha256: Annotated[str | None, Field(description="Of the object, hex.")] = None
    size: Annotated[int | None, Field(description="Bytes of the object.")] = None
    source_modified_at: Annotated[AwareDatetime | None, Field(alias="sourceModifiedAt")] = None
    source_path: Annotated[str, Field(alias="sourcePath", description="Path on the server, as listed.")]
    source_sha256: Annotated[
        str | None,
        Field(alias="sourceSha256", description="Of the bytes on the server, hex."),
    ] = None
    source_size: Annotated[int, Field(alias="sourceSize", description="Bytes on the server.")]
    tries: Annotated[int | None, Field(description="How often the file was tried in its attempt.")] = None


class JobPatch(BaseModel):
    """
    Body of ``PATCH /v1/jobs/{uid}``, a merge patch (RFC 7396): null takes a value away.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    labels: (
        dict[
            Annotated[
                str,
                StringConstraints(
                    pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
                ),
            ],
            str | None,
        ]
        | None
    ) = None
    priority: Annotated[int | None, Field(description="Higher goes first.")] = None
    suspend: Annotated[bool | None, Field(description="Hold the run, or let it go on.")] = None


class JobSort(StrEnum):
    """
    The orders that have an index. Sorted by end, runs that have not ended are left out.
    """

    FIELD_CREATED_AT = "-createdAt"
    CREATED_AT = "createdAt"
    FIELD_FINISHED_AT = "-finishedAt"
    FINISHED_AT = "finishedAt"


class JsonWebKey(BaseModel):
    """
    A public Ed25519 key (RFC 8037).
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    alg: str
    crv: str
    kid: str
    kty: str
    use: str
    x: str


class KeySet(BaseModel):
    """
    A JSON Web Key Set.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    keys: list[JsonWebKey]


class KeyState(StrEnum):
    """
    Whether a key can be used.
    """

    ACTIVE = "Active"
    EXPIRED = "Expired"
    REVOKED = "Revoked"


class LedgerEntry(BaseModel):
    """
    What is stored of one source file, or of one member of an archive.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    job_id: Annotated[str, Field(alias="jobId", description="`id` of the run that stored it.")]
    key: Annotated[str | None, Field(description="S3 key of the object.")]
    member: Annotated[str, Field(description="Path within the archive; empty if it is none.")]
    refetch: Annotated[
        str | None,
        Field(description="Id of the last reset that a run has carried out."),
    ]
    sha256: Annotated[str | None, Field(description="Of the object, hex.")]
    size: Annotated[int | None, Field(description="Bytes of the object.")]
    source_modified_at: Annotated[AwareDatetime | None, Field(alias="sourceModifiedAt")]
    source_path: Annotated[str, Field(alias="sourcePath", description="Path on the server, as listed.")]
    source_sha256: Annotated[str | None, Field(alias="sourceSha256")]
    source_size: Annotated[int, Field(alias="sourceSize", description="Bytes on the server.")]
    stored_at: Annotated[AwareDatetime, Field(alias="storedAt")]


class LedgerPage(BaseModel):
    """
    A page of a provider's ledger, by path.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[LedgerEntry]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class ManifestRef(BaseModel):
    """
    The manifest beside the data: one JSON line for each file.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    sha256: str
    uri: str


class NewApiKey(BaseModel):
    """
    An API key at the only time that its secret is shown.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    created_at: Annotated[AwareDatetime | None, Field(alias="createdAt")]
    created_by: Annotated[str | None, Field(alias="createdBy")]
    description: str
    expires_at: Annotated[AwareDatetime | None, Field(alias="expiresAt")]
    id: str
    key: Annotated[
        str,
        Field(description="What to send in `X-API-Key`. It is kept nowhere and cannot be shown again."),
    ]
    last_used_at: Annotated[AwareDatetime | None, Field(alias="lastUsedAt", description="To the minute.")]
    namespaces: list[str]
    revoked_at: Annotated[AwareDatetime | None, Field(alias="revokedAt")]
    rotated_from: Annotated[
        str | None,
        Field(alias="rotatedFrom", description="Id of the key that this one follows."),
    ]
    scopes: list[str]
    state: KeyState
    subject: str


class OnFileError(StrEnum):
    """
    How a run ends in which a file failed. Either way the other files are done first.
    """

    FAIL_JOB = "FailJob"
    SKIP_FILE = "SkipFile"


class OpenPgpMode(StrEnum):
    """
    When a file is decrypted: by its ending, always, or never.
    """

    AUTO = "Auto"
    REQUIRED = "Required"
    NEVER = "Never"


class OverwritePolicy(StrEnum):
    """
    What becomes of an object that is already stored under a selected file's key.

    Never: it stays, and the file fails if its content is another. IfChanged: it is replaced if the content is
    another and the object was made from the same path. Always: it is replaced.
    """

    NEVER = "Never"
    IF_CHANGED = "IfChanged"
    ALWAYS = "Always"


class PodExplanation(BaseModel):
    """
    A pod of the run, as the cluster has it now.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    attempt: int | None
    exit_code: Annotated[int | None, Field(alias="exitCode")]
    message: str | None
    name: str
    node: str | None
    phase: str
    reason: Annotated[
        str | None,
        Field(description="Why it is not running: ImagePullBackOff, Unschedulable, OOMKilled, …"),
    ]


class In(StrEnum):
    BODY = "body"
    QUERY = "query"
    PATH = "path"
    HEADER = "header"


class Error(BaseModel):
    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    detail: str
    in_: Annotated[In, Field(alias="in")]
    pointer: Annotated[str, Field(description="JSON pointer to what is wrong.")]


class Problem(BaseModel):
    """
    RFC 9457 problem details.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    code: Annotated[str, Field(description="Stable name of the problem, for programs.")]
    detail: str
    errors: list[Error] | None = None
    instance: Annotated[str, Field(description="Path of the request.")]
    request_id: Annotated[str, Field(alias="requestId")]
    retry_after: Annotated[
        int | None,
        Field(alias="retryAfter", description="Seconds to wait before that."),
    ] = None
    retryable: Annotated[bool, Field(description="Whether the same request may succeed later.")]
    status: int
    title: str
    type: AnyUrl


class Progress(BaseModel):
    """
    How far the current attempt is. Written at most every few seconds.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    bytes_downloaded: Annotated[int | None, Field(alias="bytesDownloaded")] = None
    bytes_uploaded: Annotated[int | None, Field(alias="bytesUploaded")] = None
    file_retries: Annotated[
        int | None,
        Field(alias="fileRetries", description="Tries of files beyond their first."),
    ] = None
    files_done: Annotated[int | None, Field(alias="filesDone")] = None
    files_failed: Annotated[int | None, Field(alias="filesFailed")] = None
    files_listed: Annotated[int | None, Field(alias="filesListed")] = None
    files_selected: Annotated[int | None, Field(alias="filesSelected")] = None
    files_skipped: Annotated[int | None, Field(alias="filesSkipped")] = None
    summary: Annotated[
        str | None,
        Field(description="Done of selected, for the Files column: `12/340`."),
    ] = None
    updated_at: Annotated[AwareDatetime | None, Field(alias="updatedAt")] = None


class QueueExplanation(BaseModel):
    """
    What a run waits for that may not go yet.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    key: Annotated[str, Field(description="Runs with the same concurrency key share.")]
    policy: Annotated[
        str | None,
        Field(description="concurrency.policy of the run; null if the provider's holds."),
    ]
    position: Annotated[int | None, Field(description="Its place, from 1.")]


class Refetch(BaseModel):
    """
    A file to fetch again, once, whatever the policy says: by the next run that begins, and by no later one.

    The object that comes of it carries the id, which is how a run knows that it has been done: neither a crash nor
    a clock can have it done twice or never.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    id: Annotated[str, Field(description="Another id asks for another fetch.")]
    path: Annotated[str, Field(description="The file's path, as it is listed.")]


class RerunMode(StrEnum):
    """
    All: what the run took, once more. FailedFiles: only the files that failed in it.
    """

    ALL = "All"
    FAILED_FILES = "FailedFiles"


class RerunRequest(BaseModel):
    """
    Body of ``POST /v1/jobs/{uid}:rerun``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    mode: RerunMode | None = None


class Reset(BaseModel):
    """
    A file that the next run fetches again.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    id: Annotated[str, Field(description="Stands in the ledger's `refetch` once it is done.")]
    known: Annotated[
        bool,
        Field(description="Whether the ledger has the file. If not, look whether the path is right."),
    ]
    source_path: Annotated[str, Field(alias="sourcePath")]


class ResetRequest(BaseModel):
    """
    Body of ``POST /v1/providers/{name}/ledger:reset``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    namespace: Annotated[str | None, Field(description="Default: the installation's own.")] = None
    paths: Annotated[list[str], Field(description="`sourcePath` of each file.")]
    reason: Annotated[str | None, Field(description="For the audit log.")] = None


class ResetResult(BaseModel):
    """
    What will be fetched again.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[Reset]


class RetryPolicy(BaseModel):
    """
    The one place where retries are decided; the child Jobs have `backoffLimit: 0`.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    backoff_factor: Annotated[int | None, Field(alias="backoffFactor")] = None
    backoff_seconds: Annotated[int | None, Field(alias="backoffSeconds")] = None
    max_attempts: Annotated[int | None, Field(alias="maxAttempts")] = None
    max_backoff_seconds: Annotated[int | None, Field(alias="maxBackoffSeconds")] = None
    retry_on: Annotated[list[Category] | None, Field(alias="retryOn")] = None


class RotateKeyRequest(BaseModel):
    """
    How to replace a key.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    overlap_seconds: Annotated[
        int | None,
        Field(
            alias="overlapSeconds",
            description="How long the old key goes on beside the new one.",
        ),
    ] = None


class RotateSecretRequest(BaseModel):
    """
    Body of ``POST /v1/webhooks/{id}:rotate-secret``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    overlap_seconds: Annotated[
        int | None,
        Field(
            alias="overlapSeconds",
            description="How long messages are signed with the old secret too.",
        ),
    ] = None


class SchedulePolicy(StrEnum):
    """
    What a tick does while an earlier run of the same schedule is not over: run too, be skipped, or end that one.
    """

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class SecretKeyRef(BaseModel):
    """
    One key of a Secret in the namespace of the provider.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    key: Annotated[str, Field(description="Key within the Secret.")]
    name: Annotated[str, Field(description="Name of the Secret.")]


class SecretRef(BaseModel):
    """
    A Secret in the namespace of the provider.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    name: Annotated[str, Field(description="Name of the Secret.")]


class SelectionPolicy(StrEnum):
    """
    NewOnly: not stored yet. ChangedOrNew: or differs in size or time from what was stored. All: every one.
    Explicit: those that ``selection.files`` names, stored or not.
    """

    NEW_ONLY = "NewOnly"
    CHANGED_OR_NEW = "ChangedOrNew"
    ALL = "All"
    EXPLICIT = "Explicit"


class SkipReason(StrEnum):
    """
    Why a tick made no run: an earlier one was not over, or it was too late for it.
    """

    BUSY = "Busy"
    TOO_LATE = "TooLate"


class SkippedTick(BaseModel):
    """
    A tick that made no run.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    message: str | None = None
    reason: SkipReason
    scheduled_time: Annotated[AwareDatetime, Field(alias="scheduledTime")]


class SseAlgorithm(StrEnum):
    """
    S3's own names.
    """

    AES256 = "AES256"
    AWS_KMS = "aws:kms"


class State(StrEnum):
    """
    The one word of the State column, derived from the rest (``domain.states``).
    """

    PENDING = "Pending"
    QUEUED = "Queued"
    SUSPENDED = "Suspended"
    STARTING = "Starting"
    RUNNING = "Running"
    RETRYING = "Retrying"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class StateCount(BaseModel):
    """
    How many runs are in a state.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    runs: int
    state: State


class Token(BaseModel):
    """
    A token to send as ``Authorization: Bearer``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    access_token: Annotated[str, Field(alias="accessToken")]
    expires_at: Annotated[AwareDatetime, Field(alias="expiresAt")]
    expires_in: Annotated[int, Field(alias="expiresIn", description="Seconds.")]
    session_ends_at: Annotated[
        AwareDatetime,
        Field(
            alias="sessionEndsAt",
            description="However often it is renewed, the token ends then.",
        ),
    ]
    token_type: Annotated[str | None, Field(alias="tokenType")] = None


class Transfer(BaseModel):
    """
    How files are moved.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    concurrent_files: Annotated[
        int | None,
        Field(
            alias="concurrentFiles",
            description="Files in flight at once in one worker.",
        ),
    ] = None
    max_attempts_per_file: Annotated[
        int | None,
        Field(
            alias="maxAttemptsPerFile",
            description="Tries of one file within an attempt, when a connection breaks.",
        ),
    ] = None
    on_file_error: Annotated[OnFileError | None, Field(alias="onFileError")] = None
    overwrite: Annotated[
        OverwritePolicy | None,
        Field(
            description="Default: Never for policy NewOnly, IfChanged for ChangedOrNew and Explicit, Always for All."
        ),
    ] = None
    parallelism: Annotated[
        int | None,
        Field(
            description="Workers that share one run, as an Indexed Job; each takes the files whose path hashes to it."
        ),
    ] = None


class TriggerRequest(BaseModel):
    """
    Body of ``POST /v1/providers/{name}/schedule:trigger``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    namespace: Annotated[str | None, Field(description="Default: the installation's own.")] = None


class Ttl(BaseModel):
    """
    How long a finished OctoJob stays in the cluster; its history stays in Postgres.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    after_failure_seconds: Annotated[int | None, Field(alias="afterFailureSeconds")] = None
    after_success_seconds: Annotated[int | None, Field(alias="afterSuccessSeconds")] = None


class UnpackMode(StrEnum):
    """
    Whether compression and archives are undone.
    """

    AUTO = "Auto"
    NEVER = "Never"


class VerifyRequest(BaseModel):
    """
    Body of ``POST /v1/providers/{name}:verify``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    namespace: Annotated[str | None, Field(description="Default: the installation's own.")] = None


class Webhook(BaseModel):
    """
    A subscription to events.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    created_at: Annotated[AwareDatetime, Field(alias="createdAt")]
    created_by: Annotated[str, Field(alias="createdBy")]
    description: str
    disabled_at: Annotated[AwareDatetime | None, Field(alias="disabledAt")]
    disabled_reason: Annotated[
        str | None,
        Field(
            alias="disabledReason",
            description="Requested, EndpointFailing (nothing was taken for days) or EndpointGone (it answered 410).",
        ),
    ]
    enabled: bool
    failing_since: Annotated[
        AwareDatetime | None,
        Field(alias="failingSince", description="First failure after the last success."),
    ]
    id: str
    job_id: Annotated[str | None, Field(alias="jobId")]
    name: str
    namespace: str
    previous_secret_until: Annotated[
        AwareDatetime | None,
        Field(
            alias="previousSecretUntil",
            description="Until then messages are signed with the old secret too.",
        ),
    ]
    providers: list[str]
    types: list[EventType]
    url: str


class WebhookEventData(BaseModel):
    """
    Of a `webhook.` event.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    reason: str | None = None
    webhook_id: Annotated[str, Field(alias="webhookId")]
    webhook_name: Annotated[str, Field(alias="webhookName")]


class WebhookPage(BaseModel):
    """
    Webhooks by namespace and name.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[Webhook]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class WebhookPatch(BaseModel):
    """
    Body of ``PATCH /v1/webhooks/{id}``; what is left out stays.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    description: str | None = None
    enabled: Annotated[
        bool | None,
        Field(description="True takes up again what was disabled, with what waits."),
    ] = None
    providers: list[str] | None = None
    types: list[EventType] | None = None
    url: str | None = None


class WebhookRequest(BaseModel):
    """
    Body of ``POST /v1/webhooks``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    description: str | None = None
    job_id: Annotated[str | None, Field(alias="jobId")] = None
    name: Annotated[
        str,
        Field(description="Unique in its namespace: asked again, the answer is 409."),
    ]
    namespace: str | None = None
    providers: Annotated[list[str] | None, Field(description="Only events of these; empty means all.")] = None
    types: Annotated[
        list[EventType] | None,
        Field(description="Only events of these types; empty means all of runs."),
    ] = None
    url: str


class WebhookWithSecret(BaseModel):
    """
    A subscription, with the secret that signs its messages. Shown this once.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    created_at: Annotated[AwareDatetime, Field(alias="createdAt")]
    created_by: Annotated[str, Field(alias="createdBy")]
    description: str
    disabled_at: Annotated[AwareDatetime | None, Field(alias="disabledAt")]
    disabled_reason: Annotated[
        str | None,
        Field(
            alias="disabledReason",
            description="Requested, EndpointFailing (nothing was taken for days) or EndpointGone (it answered 410).",
        ),
    ]
    enabled: bool
    failing_since: Annotated[
        AwareDatetime | None,
        Field(alias="failingSince", description="First failure after the last success."),
    ]
    id: str
    job_id: Annotated[str | None, Field(alias="jobId")]
    name: str
    namespace: str
    previous_secret_until: Annotated[
        AwareDatetime | None,
        Field(
            alias="previousSecretUntil",
            description="Until then messages are signed with the old secret too.",
        ),
    ]
    providers: list[str]
    secret: str
    types: list[EventType]
    url: str


class ApiKey(BaseModel):
    """
    An API key, without its secret.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    created_at: Annotated[AwareDatetime | None, Field(alias="createdAt")]
    created_by: Annotated[str | None, Field(alias="createdBy")]
    description: str
    expires_at: Annotated[AwareDatetime | None, Field(alias="expiresAt")]
    id: str
    last_used_at: Annotated[AwareDatetime | None, Field(alias="lastUsedAt", description="To the minute.")]
    namespaces: list[str]
    revoked_at: Annotated[AwareDatetime | None, Field(alias="revokedAt")]
    rotated_from: Annotated[
        str | None,
        Field(alias="rotatedFrom", description="Id of the key that this one follows."),
    ]
    scopes: list[str]
    state: KeyState
    subject: str


class ApiKeyPage(BaseModel):
    """
    A page of keys, the newest first.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[ApiKey]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class Attempt(BaseModel):
    """
    One child Job. Once its UID stands here, that Job is never created again.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    category: Category | None = None
    completion_time: Annotated[AwareDatetime | None, Field(alias="completionTime")] = None
    exit_code: Annotated[int | None, Field(alias="exitCode")] = None
    job_uid: Annotated[str | None, Field(alias="jobUID")] = None
    log_tail: Annotated[
        str | None,
        Field(
            alias="logTail",
            description="The last lines of the log, if the attempt failed.",
        ),
    ] = None
    message: str | None = None
    number: int
    pod_name: Annotated[str | None, Field(alias="podName")] = None
    reason: str | None = None
    start_time: Annotated[AwareDatetime | None, Field(alias="startTime")] = None


class AttemptList(BaseModel):
    """
    The attempts of a run that are kept, the first one first.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[Attempt]


class AuditPage(BaseModel):
    """
    A page of the audit log, the newest first.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[AuditRecord]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class Backfill(BaseModel):
    """
    The runs of all ticks of a span.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[BackfilledTick]


class BulkCancelResponse(BaseModel):
    """
    A result for each run that matched.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    accepted: Annotated[int, Field(description="How many runs were told to end.")]
    items: list[BulkCancelResult]


class Check(BaseModel):
    """
    A step of a verification: what was tried, what was seen, and if it failed, what to do.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    category: Annotated[Category | None, Field(description="Of a failure.")] = None
    finished_at: Annotated[AwareDatetime, Field(alias="finishedAt")]
    message: str | None = None
    name: str
    number: Annotated[int, Field(description="Counts the steps, in their order.")]
    outcome: CheckOutcome
    resolution: Annotated[str | None, Field(description="What to do about a failure.")] = None


class Concurrency(BaseModel):
    """
    How many runs may be active at once, and what one does that is not.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    key: Annotated[
        str | None,
        Field(description="Runs with the same key share; default: the provider."),
    ] = None
    max: int | None = None
    policy: ConcurrencyPolicy | None = None


class Condition(BaseModel):
    """
    metav1.Condition.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    last_transition_time: Annotated[AwareDatetime, Field(alias="lastTransitionTime")]
    message: str | None = None
    observed_generation: Annotated[int | None, Field(alias="observedGeneration")] = None
    reason: str
    status: ConditionStatus
    type: str


class DaySummary(BaseModel):
    """
    What the runs came to that ended so on that day.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    bytes_downloaded: Annotated[int, Field(alias="bytesDownloaded")]
    bytes_uploaded: Annotated[int, Field(alias="bytesUploaded")]
    day: Annotated[date, Field(description="In UTC; the day on which the runs ended.")]
    files: Annotated[int, Field(description="Files done.")]
    files_failed: Annotated[int, Field(alias="filesFailed")]
    outcome: Annotated[State, Field(description="`Succeeded`, `Failed` or `Cancelled`.")]
    runs: int


class Delivery(BaseModel):
    """
    A message to a webhook, and how its last try ended.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    attempts: Annotated[int, Field(description="Since it was made, or sent again.")]
    created_at: Annotated[AwareDatetime, Field(alias="createdAt")]
    duration_milliseconds: Annotated[int | None, Field(alias="durationMilliseconds")]
    error: str | None
    event_id: Annotated[
        int | None,
        Field(
            alias="eventId",
            description="`id` of the event in `/v1/events`; None for a test.",
        ),
    ]
    id: Annotated[str, Field(description="The `webhook-id` of all its tries.")]
    last_attempt_at: Annotated[AwareDatetime | None, Field(alias="lastAttemptAt")]
    next_attempt_at: Annotated[AwareDatetime | None, Field(alias="nextAttemptAt")]
    response_body: Annotated[
        str | None,
        Field(alias="responseBody", description="At most the first 1024 bytes."),
    ]
    response_status: Annotated[int | None, Field(alias="responseStatus")]
    state: DeliveryState
    type: str


class DeliveryPage(BaseModel):
    """
    Messages, the newest first.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[Delivery]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class Disposition(BaseModel):
    """
    What is done with a source file on the server, only after its objects are visible and while it is unchanged.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    action: DispositionAction | None = None
    move_to: Annotated[
        str | None,
        Field(
            alias="moveTo",
            description="For Move: the folder that files go to, under their path, on the same file system. It is not listed. Nothing is replaced there: a file of the same name makes this one `<name>.1`, and so on.",
        ),
    ] = None


class Explanation(BaseModel):
    """
    Why a run is in its state.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    actions: Annotated[
        list[str],
        Field(description="What can be done, the most promising first; empty if nothing need be."),
    ]
    cluster: ClusterView
    conditions: list[Condition]
    events: Annotated[list[ClusterEvent], Field(description="The last 20, the newest first.")]
    failure: Failure | None
    id: str
    next_attempt_at: Annotated[AwareDatetime | None, Field(alias="nextAttemptAt")]
    pods: list[PodExplanation]
    queue: QueueExplanation | None
    reason: str | None
    since: Annotated[
        AwareDatetime,
        Field(description="When the run came into this state, as far as is known."),
    ]
    state: State
    summary: Annotated[str, Field(description="One sentence for a person.")]


class FilePage(BaseModel):
    """
    A page of files by path.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[JobFile]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class Job(BaseModel):
    """
    A run: live in the cluster, or from the archive.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    attempt: int
    attempts: list[Attempt]
    conditions: list[Condition]
    created_at: Annotated[AwareDatetime, Field(alias="createdAt")]
    deleted_at: Annotated[
        AwareDatetime | None,
        Field(
            alias="deletedAt",
            description="When the OctoJob was seen to be gone from the cluster.",
        ),
    ]
    failure: Failure | None
    finished_at: Annotated[AwareDatetime | None, Field(alias="finishedAt")]
    id: Annotated[str, Field(description="uid of the OctoJob.")]
    labels: dict[str, str]
    manifest: ManifestRef | None
    name: str
    namespace: str
    next_attempt_at: Annotated[AwareDatetime | None, Field(alias="nextAttemptAt")]
    priority: int
    progress: Progress | None
    provider: str
    queue_position: Annotated[int | None, Field(alias="queuePosition")]
    reason: str | None
    requested_by: Annotated[str | None, Field(alias="requestedBy")]
    rerun_of: Annotated[
        str | None,
        Field(alias="rerunOf", description="`id` of the run that this one repeats."),
    ]
    schedule: Annotated[str | None, Field(description="The provider whose schedule made the run.")]
    spec: Annotated[
        dict[str, Any],
        Field(description="The spec of the OctoJob, as it was asked for."),
    ]
    started_at: Annotated[AwareDatetime | None, Field(alias="startedAt")]
    state: State


class JobEventData(BaseModel):
    """
    Of a `job.` event: the run as it was then.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    attempt: int
    failure: EventFailure | None = None
    previous_state: Annotated[State | None, Field(alias="previousState", description="None in `job.created`.")] = None
    progress: Annotated[Progress | None, Field(description="When the run has ended.")] = None
    reason: Annotated[str | None, Field(description="In a word, as in the condition `Succeeded`.")] = None
    state: State


class JobSelection(BaseModel):
    """
    Narrows or replaces the provider's choice of files, for this run.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    dry_run: Annotated[bool | None, Field(alias="dryRun", description="List and select, move nothing.")] = None
    exclude: list[str] | None = None
    files: Annotated[
        list[str] | None,
        Field(description="For policy Explicit: the paths of the files, as they are listed."),
    ] = None
    include: list[str] | None = None
    max_bytes: Annotated[int | None, Field(alias="maxBytes")] = None
    max_files: Annotated[int | None, Field(alias="maxFiles")] = None
    min_age_seconds: Annotated[int | None, Field(alias="minAgeSeconds")] = None
    modified_after: Annotated[
        AwareDatetime | None,
        Field(
            alias="modifiedAfter",
            description="Take only files modified at this time or later.",
        ),
    ] = None
    modified_before: Annotated[
        AwareDatetime | None,
        Field(
            alias="modifiedBefore",
            description="Take only files modified before this time.",
        ),
    ] = None
    paths: list[str] | None = None
    policy: SelectionPolicy | None = None
    stability_seconds: Annotated[int | None, Field(alias="stabilitySeconds")] = None


class JobSelector(BaseModel):
    """
    Which runs; all conditions must hold, and of one that is named several times any.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    created_after: Annotated[
        AwareDatetime | None,
        Field(alias="createdAfter", description="At that time or later."),
    ] = None
    created_before: Annotated[AwareDatetime | None, Field(alias="createdBefore")] = None
    failure_category: Annotated[list[Category] | None, Field(alias="failureCategory")] = None
    finished_after: Annotated[
        AwareDatetime | None,
        Field(alias="finishedAfter", description="At that time or later."),
    ] = None
    finished_before: Annotated[AwareDatetime | None, Field(alias="finishedBefore")] = None
    label_selector: Annotated[
        str | None,
        Field(
            alias="labelSelector",
            description="`key=value`, several with commas between; all must be there.",
        ),
    ] = None
    name: str | None = None
    name_prefix: Annotated[str | None, Field(alias="namePrefix")] = None
    namespace: str | None = None
    provider: str | None = None
    requested_by: Annotated[str | None, Field(alias="requestedBy")] = None
    rerun_of: Annotated[
        str | None,
        Field(alias="rerunOf", description="`id` of the run that they repeat."),
    ] = None
    schedule: Annotated[str | None, Field(description="The provider whose schedule made them.")] = None
    started_after: Annotated[
        AwareDatetime | None,
        Field(alias="startedAfter", description="At that time or later."),
    ] = None
    started_before: Annotated[AwareDatetime | None, Field(alias="startedBefore")] = None
    state: list[State] | None = None


class OpenPgpKey(BaseModel):
    """
    One more private key.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    key_secret_ref: Annotated[
        SecretKeyRef,
        Field(alias="keySecretRef", description="The private key, armored or binary."),
    ]
    passphrase_secret_ref: Annotated[
        SecretKeyRef | None,
        Field(alias="passphraseSecretRef", description="Its passphrase, if it has one."),
    ] = None


class PartialJob(BaseModel):
    """
    The fields of a run that were asked for.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    attempt: int | None = None
    attempts: list[Attempt] | None = None
    conditions: list[Condition] | None = None
    created_at: Annotated[AwareDatetime | None, Field(alias="createdAt")] = None
    deleted_at: Annotated[
        AwareDatetime | None,
        Field(
            alias="deletedAt",
            description="When the OctoJob was seen to be gone from the cluster.",
        ),
    ] = None
    failure: Failure | None = None
    finished_at: Annotated[AwareDatetime | None, Field(alias="finishedAt")] = None
    id: Annotated[str | None, Field(description="uid of the OctoJob.")] = None
    labels: dict[str, str] | None = None
    manifest: ManifestRef | None = None
    name: str | None = None
    namespace: str | None = None
    next_attempt_at: Annotated[AwareDatetime | None, Field(alias="nextAttemptAt")] = None
    priority: int | None = None
    progress: Progress | None = None
    provider: str | None = None
    queue_position: Annotated[int | None, Field(alias="queuePosition")] = None
    reason: str | None = None
    requested_by: Annotated[str | None, Field(alias="requestedBy")] = None
    rerun_of: Annotated[
        str | None,
        Field(alias="rerunOf", description="`id` of the run that this one repeats."),
    ] = None
    schedule: Annotated[str | None, Field(description="The provider whose schedule made the run.")] = None
    spec: Annotated[
        dict[str, Any] | None,
        Field(description="The spec of the OctoJob, as it was asked for."),
    ] = None
    started_at: Annotated[AwareDatetime | None, Field(alias="startedAt")] = None
    state: State | None = None


class PodTemplate(BaseModel):
    """
    Changes to the pod of a run.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    image: Annotated[str | None, Field(description="Another worker image.")] = None
    image_pull_secrets: Annotated[list[SecretRef] | None, Field(alias="imagePullSecrets")] = None
    node_selector: Annotated[dict[str, str] | None, Field(alias="nodeSelector")] = None
    resources: Annotated[dict[str, Any] | None, Field(description="As in a pod's container.")] = None
    service_account_name: Annotated[str | None, Field(alias="serviceAccountName")] = None
    tolerations: Annotated[list[dict[str, Any]] | None, Field(description="As in a pod.")] = None


class ProviderJobRequest(BaseModel):
    """
    Body of ``POST /v1/providers/{name}/jobs``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    active_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="activeDeadlineSeconds",
            description="For the run with all its attempts, from the start of the first. Default 86400.",
        ),
    ] = None
    attempt_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="attemptDeadlineSeconds",
            description="For one attempt, from its start. Default 21600.",
        ),
    ] = None
    concurrency: Concurrency | None = None
    labels: Annotated[
        dict[
            Annotated[
                str,
                StringConstraints(
                    pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
                ),
            ],
            str,
        ]
        | None,
        Field(description="As in Kubernetes."),
    ] = None
    namespace: str | None = None
    parameters: Annotated[
        dict[str, str] | None,
        Field(description="Passed to the main logic as they are."),
    ] = None
    pending_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="pendingDeadlineSeconds",
            description="From the Job's creation until its pod runs. Default 900.",
        ),
    ] = None
    priority: Annotated[int | None, Field(description="Higher goes first. Default 0.")] = None
    queue_name: Annotated[
        str | None,
        Field(
            alias="queueName",
            description="A LocalQueue of Kueue: each attempt waits there until Kueue lets it go.",
        ),
    ] = None
    retry_policy: Annotated[RetryPolicy | None, Field(alias="retryPolicy")] = None
    selection: JobSelection | None = None
    start_after: Annotated[AwareDatetime | None, Field(alias="startAfter")] = None
    suspend: Annotated[bool | None, Field(description="Hold the run until this is set to false.")] = None
    termination_grace_period_seconds: Annotated[
        int | None,
        Field(
            alias="terminationGracePeriodSeconds",
            description="What a cancelled worker has to end cleanly. Default 60.",
        ),
    ] = None
    transfer: Transfer | None = None
    ttl: Ttl | None = None


class ProviderSelection(BaseModel):
    """
    Which of the listed files a run takes.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    max_bytes: Annotated[
        int | None,
        Field(
            alias="maxBytes",
            description="Take files up to this many bytes in one run, the oldest first, at least one.",
        ),
    ] = None
    max_files: Annotated[
        int | None,
        Field(
            alias="maxFiles",
            description="Take at most this many files in one run, the oldest first.",
        ),
    ] = None
    min_age_seconds: Annotated[
        int | None,
        Field(
            alias="minAgeSeconds",
            description="Leave files younger than this to a later run.",
        ),
    ] = None
    policy: Annotated[
        SelectionPolicy | None,
        Field(
            description="NewOnly takes files that are not stored yet, ChangedOrNew also those whose size or time differ from what was stored, All takes all. Explicit takes what the OctoJob's selection.files names."
        ),
    ] = None
    stability_seconds: Annotated[
        int | None,
        Field(
            alias="stabilitySeconds",
            description="Look at each file again this long after it was listed; one that changed is left to a later run.",
        ),
    ] = None


class Report(BaseModel):
    """
    Body of ``POST /v1/reports/{uid}``: rows since the last one, and how far the run is.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    attempt: int
    checks: Annotated[list[Check] | None, Field(description="Of a run in mode Verify.")] = None
    files: list[FileResult] | None = None
    progress: Progress
    shard: Annotated[
        int | None,
        Field(description="Which of the workers that share the attempt this is."),
    ] = None


class RunOptions(BaseModel):
    """
    What can be said of a run on the OctoJob, or for all of a provider's in its ``jobDefaults``.

    A field left out on the OctoJob is taken from the provider, then from these models' defaults.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    active_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="activeDeadlineSeconds",
            description="For the run with all its attempts, from the start of the first. Default 86400.",
        ),
    ] = None
    attempt_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="attemptDeadlineSeconds",
            description="For one attempt, from its start. Default 21600.",
        ),
    ] = None
    concurrency: Concurrency | None = None
    pending_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="pendingDeadlineSeconds",
            description="From the Job's creation until its pod runs. Default 900.",
        ),
    ] = None
    priority: Annotated[int | None, Field(description="Higher goes first. Default 0.")] = None
    queue_name: Annotated[
        str | None,
        Field(
            alias="queueName",
            description="A LocalQueue of Kueue: each attempt waits there until Kueue lets it go.",
        ),
    ] = None
    retry_policy: Annotated[RetryPolicy | None, Field(alias="retryPolicy")] = None
    termination_grace_period_seconds: Annotated[
        int | None,
        Field(
            alias="terminationGracePeriodSeconds",
            description="What a cancelled worker has to end cleanly. Default 60.",
        ),
    ] = None
    transfer: Transfer | None = None
    ttl: Ttl | None = None


class Schedule(BaseModel):
    """
    When a provider runs by itself. ``domain.calendar`` says what fires when.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    concurrency_policy: Annotated[
        SchedulePolicy | None,
        Field(
            alias="concurrencyPolicy",
            description="When a tick comes while an earlier run of this schedule is not over: Forbid skips the tick, Replace cancels that run, Allow runs both, as far as the provider's concurrency lets them.",
        ),
    ] = None
    cron: Annotated[
        str,
        Field(
            description="Minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."
        ),
    ]
    starting_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="startingDeadlineSeconds",
            description="How late a tick may still fire, such as after the controller was down; without it, however late. Of several missed ticks only the latest fires.",
        ),
    ] = None
    suspend: Annotated[
        bool | None,
        Field(description="Fire no more. What falls into that time is not made up for."),
    ] = None
    time_zone: Annotated[
        str | None,
        Field(
            alias="timeZone",
            description="IANA name of the time zone on whose clock cron goes, such as `Europe/Berlin`.",
        ),
    ] = None


class ScheduleStatus(BaseModel):
    """
    What became of a schedule so far.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    cron: Annotated[str, Field(description="What nextScheduleTime was reckoned by.")]
    last_schedule_time: Annotated[
        AwareDatetime | None,
        Field(alias="lastScheduleTime", description="The last tick that made a run."),
    ] = None
    last_scheduled_job: Annotated[
        str | None,
        Field(alias="lastScheduledJob", description="The OctoJob of that tick."),
    ] = None
    last_skipped: Annotated[
        SkippedTick | None,
        Field(alias="lastSkipped", description="The last tick that made no run."),
    ] = None
    next_schedule_time: Annotated[
        AwareDatetime | None,
        Field(
            alias="nextScheduleTime",
            description="The next tick; none while suspended or not valid.",
        ),
    ] = None
    time_zone: Annotated[
        str,
        Field(alias="timeZone", description="What nextScheduleTime was reckoned by."),
    ]


class ServerSideEncryption(BaseModel):
    """
    How the object store encrypts what it keeps.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    algorithm: SseAlgorithm
    bucket_key_enabled: Annotated[
        bool | None,
        Field(alias="bucketKeyEnabled", description="For aws:kms: use an S3 Bucket Key."),
    ] = None
    kms_key_id: Annotated[
        str | None,
        Field(
            alias="kmsKeyId",
            description="For aws:kms: the key's id or ARN; else the default.",
        ),
    ] = None


class SftpSource(BaseModel):
    """
    An SFTP server and what to take from it.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    credentials_secret_ref: Annotated[
        SecretRef,
        Field(
            alias="credentialsSecretRef",
            description="Secret with `password` (also given to keyboard-interactive prompts), or `privateKey` and, where the key has them, `passphrase` and `certificate` (OpenSSH).",
        ),
    ]
    disposition: Disposition | None = None
    exclude: Annotated[list[str] | None, Field(description="Globs that win over include.")] = None
    host: Annotated[str, Field(description="Host name or address.")]
    host_keys: Annotated[
        list[str],
        Field(
            alias="hostKeys",
            description="known_hosts lines of the server, or its fingerprints as `ssh-keygen -l` shows them (`SHA256:…`). Required: a key is never trusted on first use.",
        ),
    ]
    include: Annotated[
        list[str] | None,
        Field(description="Globs on the path below its folder; empty takes all."),
    ] = None
    max_connections: Annotated[
        int | None,
        Field(
            alias="maxConnections",
            description="SSH connections of one worker; more help where the way is long.",
        ),
    ] = None
    paths: Annotated[list[str] | None, Field(description="Folders to list, with all below them.")] = None
    port: int | None = None
    username: str


class Source(BaseModel):
    """
    The one place files come from.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    sftp: SftpSource


class Summary(BaseModel):
    """
    How many runs there are now, live and archived, and what each of the last days came to.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    at: AwareDatetime
    days: Annotated[
        list[DaySummary],
        Field(description="By day and outcome; those without a run are left out."),
    ]
    first_day: Annotated[date, Field(alias="firstDay")]
    last_day: Annotated[date, Field(alias="lastDay", description="Today, in UTC.")]
    states: Annotated[
        list[StateCount],
        Field(description="Every state, also those that no run is in."),
    ]


class Unpack(BaseModel):
    """
    How files are unpacked, and the limits against archive bombs.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    max_depth: Annotated[
        int | None,
        Field(
            alias="maxDepth",
            description="Folders in the path of a member of an archive.",
        ),
    ] = None
    max_entries: Annotated[int | None, Field(alias="maxEntries", description="Members of one archive.")] = None
    max_expanded_bytes: Annotated[
        int | None,
        Field(
            alias="maxExpandedBytes",
            description="Bytes that one source file may expand to.",
        ),
    ] = None
    max_name_bytes: Annotated[
        int | None,
        Field(alias="maxNameBytes", description="Bytes in the path of a member, as UTF-8."),
    ] = None
    max_ratio: Annotated[
        int | None,
        Field(
            alias="maxRatio",
            description="Expanded bytes per byte of source file, past the first 64 MiB.",
        ),
    ] = None
    mode: Annotated[
        UnpackMode | None,
        Field(
            description="Auto undoes .gz, .bz2, .xz, .zst and .zip, and .tar alone or in any of the first four (.tgz, .tbz2, .txz, .tzst). An archive inside an archive is stored as it is."
        ),
    ] = None


class Verification(BaseModel):
    """
    What a verification has found so far; whole once its state is terminal.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    checks: list[Check]
    finished: Annotated[bool, Field(description="Whether there is nothing more to come.")]
    job_id: Annotated[str, Field(alias="jobId", description="`id` of the run.")]
    message: Annotated[str | None, Field(description="Why it failed, if it did.")]
    state: Annotated[State, Field(description="Of the run. Succeeded: no step failed.")]


class BatchItem(BaseModel):
    """
    One of the runs that a batch asks for.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    active_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="activeDeadlineSeconds",
            description="For the run with all its attempts, from the start of the first. Default 86400.",
        ),
    ] = None
    attempt_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="attemptDeadlineSeconds",
            description="For one attempt, from its start. Default 21600.",
        ),
    ] = None
    concurrency: Concurrency | None = None
    idempotency_key: Annotated[
        str | None,
        Field(
            alias="idempotencyKey",
            description="As the header of a single request. Default: the header's, with the item's place in the batch.",
        ),
    ] = None
    labels: Annotated[
        dict[
            Annotated[
                str,
                StringConstraints(
                    pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
                ),
            ],
            str,
        ]
        | None,
        Field(description="As in Kubernetes."),
    ] = None
    namespace: str | None = None
    parameters: Annotated[
        dict[str, str] | None,
        Field(description="Passed to the main logic as they are."),
    ] = None
    pending_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="pendingDeadlineSeconds",
            description="From the Job's creation until its pod runs. Default 900.",
        ),
    ] = None
    priority: Annotated[int | None, Field(description="Higher goes first. Default 0.")] = None
    provider: Annotated[str, Field(description="Name of the OctoProvider.")]
    queue_name: Annotated[
        str | None,
        Field(
            alias="queueName",
            description="A LocalQueue of Kueue: each attempt waits there until Kueue lets it go.",
        ),
    ] = None
    retry_policy: Annotated[RetryPolicy | None, Field(alias="retryPolicy")] = None
    selection: JobSelection | None = None
    start_after: Annotated[AwareDatetime | None, Field(alias="startAfter")] = None
    suspend: Annotated[bool | None, Field(description="Hold the run until this is set to false.")] = None
    termination_grace_period_seconds: Annotated[
        int | None,
        Field(
            alias="terminationGracePeriodSeconds",
            description="What a cancelled worker has to end cleanly. Default 60.",
        ),
    ] = None
    transfer: Transfer | None = None
    ttl: Ttl | None = None


class BatchRequest(BaseModel):
    """
    Body of ``POST /v1/jobs:batch``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[BatchItem]


class BatchResult(BaseModel):
    """
    What became of one item.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    job: Job | None
    problem: Annotated[
        dict[str, Any] | None,
        Field(description="Why there is no run: problem details (RFC 9457)."),
    ]
    replayed: Annotated[bool, Field(description="Whether an earlier request had asked for it.")]
    status: Annotated[
        int,
        Field(description="The HTTP status that the item would have had as a request of its own."),
    ]


class BulkCancelRequest(BaseModel):
    """
    Body of ``POST /v1/jobs:cancel``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    expected_count: Annotated[
        int,
        Field(
            alias="expectedCount",
            description="How many runs that have not ended match, as the caller knows it; another number cancels nothing.",
        ),
    ]
    filter: JobSelector
    mode: CancelMode | None = None
    reason: str | None = None


class Event(BaseModel):
    """
    Something that happened.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    data: JobEventData | WebhookEventData
    id: Annotated[
        int,
        Field(
            description="Where it stands in what it was read from: `sequence` among the events of a run, its position among all. Events read later have higher ones."
        ),
    ]
    job_id: Annotated[str | None, Field(alias="jobId")]
    job_name: Annotated[str | None, Field(alias="jobName")]
    namespace: str
    provider: str | None
    sequence: Annotated[int | None, Field(description="Counts from 1 without a gap within the run.")]
    timestamp: AwareDatetime
    type: EventType
    version: Annotated[
        Literal[1],
        Field(description="Of this schema. Fields and types may be added to a version."),
    ]


class EventPage(BaseModel):
    """
    Events in their order.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[Event]
    last_id: Annotated[
        int,
        Field(
            alias="lastId",
            description="To go on from as `after`, also when there are no items.",
        ),
    ]
    more: Annotated[
        bool,
        Field(description="Whether to go on at once. A page may hold fewer items than asked for."),
    ]


class JobPage(BaseModel):
    """
    A page of runs.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[Job] | list[PartialJob]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class JobRequest(BaseModel):
    """
    Body of ``POST /v1/jobs``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    active_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="activeDeadlineSeconds",
            description="For the run with all its attempts, from the start of the first. Default 86400.",
        ),
    ] = None
    attempt_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="attemptDeadlineSeconds",
            description="For one attempt, from its start. Default 21600.",
        ),
    ] = None
    concurrency: Concurrency | None = None
    labels: Annotated[
        dict[
            Annotated[
                str,
                StringConstraints(
                    pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
                ),
            ],
            str,
        ]
        | None,
        Field(description="As in Kubernetes."),
    ] = None
    namespace: str | None = None
    parameters: Annotated[
        dict[str, str] | None,
        Field(description="Passed to the main logic as they are."),
    ] = None
    pending_deadline_seconds: Annotated[
        int | None,
        Field(
            alias="pendingDeadlineSeconds",
            description="From the Job's creation until its pod runs. Default 900.",
        ),
    ] = None
    priority: Annotated[int | None, Field(description="Higher goes first. Default 0.")] = None
    provider: Annotated[str, Field(description="Name of the OctoProvider.")]
    queue_name: Annotated[
        str | None,
        Field(
            alias="queueName",
            description="A LocalQueue of Kueue: each attempt waits there until Kueue lets it go.",
        ),
    ] = None
    retry_policy: Annotated[RetryPolicy | None, Field(alias="retryPolicy")] = None
    selection: JobSelection | None = None
    start_after: Annotated[AwareDatetime | None, Field(alias="startAfter")] = None
    suspend: Annotated[bool | None, Field(description="Hold the run until this is set to false.")] = None
    termination_grace_period_seconds: Annotated[
        int | None,
        Field(
            alias="terminationGracePeriodSeconds",
            description="What a cancelled worker has to end cleanly. Default 60.",
        ),
    ] = None
    transfer: Transfer | None = None
    ttl: Ttl | None = None


class OpenPgp(BaseModel):
    """
    How OpenPGP messages are opened.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    additional_keys: Annotated[
        list[OpenPgpKey] | None,
        Field(
            alias="additionalKeys",
            description="Keys that messages may also be encrypted to, such as rotated ones.",
        ),
    ] = None
    key_secret_ref: Annotated[
        SecretKeyRef | None,
        Field(alias="keySecretRef", description="The private key, armored or binary."),
    ] = None
    mode: Annotated[
        OpenPgpMode | None,
        Field(description="Auto decrypts .gpg, .pgp and .asc; Required refuses any other file; Never stores as is."),
    ] = None
    passphrase_secret_ref: Annotated[
        SecretKeyRef | None,
        Field(
            alias="passphraseSecretRef",
            description="The key's passphrase, or that of symmetric messages.",
        ),
    ] = None
    require_signature: Annotated[
        bool | None,
        Field(
            alias="requireSignature",
            description="Refuse a file without a good signature of a signer key: inside the message, or detached beside the file as `<file>.sig` or `<file>.asc`.",
        ),
    ] = None
    signer_keys_secret_ref: Annotated[
        SecretKeyRef | None,
        Field(
            alias="signerKeysSecretRef",
            description="The signers' public keys, armored or binary, one after the other.",
        ),
    ] = None


class Provider(BaseModel):
    """
    An OctoProvider. Secrets stand in it by reference only.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    conditions: list[Condition]
    created_at: Annotated[AwareDatetime, Field(alias="createdAt")]
    id: Annotated[str, Field(description="Same as its name.")]
    labels: dict[str, str]
    last_job: Annotated[str | None, Field(alias="lastJob")]
    last_success_at: Annotated[AwareDatetime | None, Field(alias="lastSuccessAt")]
    name: str
    namespace: str
    schedule: Annotated[
        ScheduleStatus | None,
        Field(description="What became of its schedule so far; null without one."),
    ]
    spec: dict[str, Any]
    type: Annotated[str, Field(description="`sftp`, or `container` for the user's own main logic.")]


class ProviderPage(BaseModel):
    """
    A page of providers by name.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    items: list[Provider]
    next_cursor: Annotated[str | None, Field(alias="nextCursor", description="None on the last page.")]


class ProviderSchedule(BaseModel):
    """
    A provider's schedule, what it did, and what it will do.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    next_times: Annotated[
        list[AwareDatetime],
        Field(
            alias="nextTimes",
            description="When it fires next; empty without a schedule or while suspended.",
        ),
    ]
    schedule: Annotated[Schedule | None, Field(description="None if the provider runs only when asked.")]
    status: ScheduleStatus | None


class S3Destination(BaseModel):
    """
    A bucket and a prefix in it.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    bucket: str
    credentials_secret_ref: Annotated[
        SecretRef | None,
        Field(
            alias="credentialsSecretRef",
            description="Secret with `accessKeyId` and `secretAccessKey` (and `sessionToken`); without it the pod's own workload identity is used.",
        ),
    ] = None
    endpoint: Annotated[str | None, Field(description="URL of an S3-compatible store; empty means AWS.")] = None
    path_style: Annotated[
        bool | None,
        Field(
            alias="pathStyle",
            description="Address the bucket in the path, not in the host name.",
        ),
    ] = None
    prefix: Annotated[
        str | None,
        Field(description="Put before every key, without a slash at either end."),
    ] = None
    region: str | None = None
    server_side_encryption: Annotated[
        ServerSideEncryption | None,
        Field(
            alias="serverSideEncryption",
            description="Empty leaves it to the bucket's default.",
        ),
    ] = None


class BatchResponse(BaseModel):
    """
    A result for each item, in their order.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    accepted: Annotated[int, Field(description="How many items have a run.")]
    items: list[BatchResult]


class Decrypt(BaseModel):
    """
    How files are decrypted.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    openpgp: OpenPgp


class Destination(BaseModel):
    """
    The one place files go to.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    s3: S3Destination


class OctoProviderSpec(BaseModel):
    """
    What to run: the built-in main logic (source and destination), or a container of one's own.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    container: Container | None = None
    decrypt: Decrypt | None = None
    destination: Destination | None = None
    job_defaults: Annotated[
        RunOptions | None,
        Field(
            alias="jobDefaults",
            description="Run options for jobs of this provider that do not set their own.",
        ),
    ] = None
    pod_template: Annotated[PodTemplate | None, Field(alias="podTemplate")] = None
    refetch: Annotated[
        list[Refetch] | None,
        Field(
            description="Files that the next run fetches again although they are stored; taken out when that is done."
        ),
    ] = None
    schedule: Annotated[Schedule | None, Field(description="Runs by the clock.")] = None
    selection: ProviderSelection | None = None
    source: Source | None = None
    unpack: Unpack | None = None


class ProviderRequest(BaseModel):
    """
    Body of ``POST /v1/providers``.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    labels: Annotated[
        dict[
            Annotated[
                str,
                StringConstraints(
                    pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
                ),
            ],
            str,
        ]
        | None,
        Field(description="As in Kubernetes."),
    ] = None
    name: str
    namespace: Annotated[str | None, Field(description="Default: the installation's own.")] = None
    spec: OctoProviderSpec


class ProviderUpdate(BaseModel):
    """
    Body of ``PUT /v1/providers/{name}``: what a client may write of a provider.
    """

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
    )
    labels: Annotated[
        dict[
            Annotated[
                str,
                StringConstraints(
                    pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
                ),
            ],
            str,
        ]
        | None,
        Field(description="As in Kubernetes."),
    ] = None
    spec: OctoProviderSpec
