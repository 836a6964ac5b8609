"""The tables. Rows of ``jobs`` are projections of OctoJobs; the other tables live nowhere else."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables of Octo."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own contract
        datetime: DateTime(timezone=True),
        str: Text(),
        bytes: LargeBinary(),
        dict[str, Any]: JSONB(),
        list[str]: ARRAY(Text()),
    }


_FINISHED = text("finished_at IS NOT NULL")
_FAILED = text("failure_category IS NOT NULL")
_SCHEDULED = text("schedule IS NOT NULL")
_RERUN = text("rerun_of IS NOT NULL")
_LOST = "uid of its namespace in a cluster that is gone"


class JobRow(Base):
    """The last seen state of an OctoJob, kept when the OctoJob is gone. Only ever moves forward."""

    __tablename__ = "jobs"

    uid: Mapped[str] = mapped_column(primary_key=True, comment="metadata.uid; the job's id over REST")
    namespace: Mapped[str]
    name: Mapped[str]
    provider: Mapped[str]
    resource_version: Mapped[Decimal] = mapped_column(
        Numeric(40, 0), comment="of the OctoJob this row shows; a row is replaced by a higher one only"
    )
    generation: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    reason: Mapped[str | None] = mapped_column(comment="of the Succeeded condition")
    attempt: Mapped[int] = mapped_column(SmallInteger)
    failure_category: Mapped[str | None]
    priority: Mapped[int] = mapped_column(SmallInteger)
    requested_by: Mapped[str | None]
    rerun_of: Mapped[str | None] = mapped_column(comment="uid of the run this one repeats")
    schedule: Mapped[str | None] = mapped_column(comment="the provider whose schedule made the run")
    idempotency_key_hash: Mapped[str | None]
    labels: Mapped[dict[str, Any]]
    spec: Mapped[dict[str, Any]]
    status: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None] = mapped_column(comment="when the OctoJob was seen to be gone")
    last_event: Mapped[int] = mapped_column(Integer, comment="highest sequence number of its events")
    mirrored_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lost_cluster: Mapped[str | None] = mapped_column(comment=_LOST)

    __table_args__ = (
        # Lists are read along one of these from where the last page ended; see job_list for which.
        Index(None, "namespace", "created_at", "uid"),
        Index(None, "namespace", "state", "created_at", "uid"),
        Index(None, "namespace", "provider", "state", "created_at", "uid"),
        Index(None, "namespace", "requested_by", "created_at", "uid"),
        Index(None, "namespace", "state", "finished_at", "uid", postgresql_where=_FINISHED),
        Index(None, "namespace", "provider", "state", "finished_at", "uid", postgresql_where=_FINISHED),
        Index(None, "namespace", "failure_category", "created_at", "uid", postgresql_where=_FAILED),
        Index(None, "namespace", "schedule", "created_at", "uid", postgresql_where=_SCHEDULED),
        Index(None, "rerun_of", "created_at", "uid", postgresql_where=_RERUN),
        Index(None, "namespace", "name", postgresql_ops={"name": "text_pattern_ops"}),
        Index(None, "labels", postgresql_using="gin", postgresql_ops={"labels": "jsonb_path_ops"}),
    )


class JobDayRow(Base):
    """A part of what the runs that ended on a day came to; the parts of a day and outcome are added up.

    A trigger of ``jobs`` adds them, ``octo_core.db.days`` folds them.
    """

    __tablename__ = "job_days"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    namespace: Mapped[str]
    day: Mapped[date] = mapped_column(comment="in UTC")
    outcome: Mapped[str] = mapped_column(comment="a terminal state")
    runs: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)
    files_failed: Mapped[int] = mapped_column(BigInteger)
    bytes_downloaded: Mapped[int] = mapped_column(BigInteger)
    bytes_uploaded: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index(None, "namespace", "day", "outcome"),)


class ProviderRow(Base):
    """An OctoProvider as it was last seen, to be made again in another cluster; without a row once it is deleted."""

    __tablename__ = "providers"

    namespace: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    uid: Mapped[str]
    generation: Mapped[int] = mapped_column(BigInteger)
    labels: Mapped[dict[str, Any]]
    annotations: Mapped[dict[str, Any]]
    spec: Mapped[dict[str, Any]]
    mirrored_at: Mapped[datetime]
    lost_cluster: Mapped[str | None] = mapped_column(comment=_LOST)


class MirrorRow(Base):
    """Which controller writes the rows of a namespace, and of which cluster. See ``octo_core.db.mirrors``."""

    __tablename__ = "mirrors"

    namespace: Mapped[str] = mapped_column(primary_key=True)
    controller: Mapped[str] = mapped_column(primary_key=True, comment="the number of its shard")
    token: Mapped[str] = mapped_column(comment="drawn by the process that writes")
    cluster: Mapped[str | None] = mapped_column(comment="uid of the namespace in its cluster")
    claimed_at: Mapped[datetime]


class EventRow(Base):
    """Something that happened, mostly to a run. See ``octo_core.db.events`` for how they get their order."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    position: Mapped[int | None] = mapped_column(
        BigInteger, comment="place in the order of all events; given after the commit"
    )
    namespace: Mapped[str]
    type: Mapped[str] = mapped_column(comment="one of octo_core.domain.events")
    at: Mapped[datetime]
    provider: Mapped[str | None]
    job_uid: Mapped[str | None] = mapped_column(ForeignKey("jobs.uid", ondelete="CASCADE"))
    seq: Mapped[int | None] = mapped_column(Integer, comment="counts from 1 without a gap within the run")
    data: Mapped[dict[str, Any]]

    __table_args__ = (
        Index(None, "job_uid", "seq", unique=True),
        Index(None, "position", unique=True),
        Index("ix_events_unpositioned", "id", postgresql_where=text("position IS NULL")),
    )


class EventPositionsRow(Base):
    """One row: the positions between which events can be read. Its lock is what puts them in order."""

    __tablename__ = "event_positions"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, comment="always 1")
    head: Mapped[int] = mapped_column(BigInteger, comment="the last position given")
    floor: Mapped[int] = mapped_column(BigInteger, comment="up to here, events are not kept in order any more")

    __table_args__ = (CheckConstraint("id = 1", name="single"),)


class JobFileRow(Base):
    """What became of one object of one source file in a run."""

    __tablename__ = "job_files"

    # No foreign key: a worker may report before the mirror has seen its job.
    job_uid: Mapped[str] = mapped_column(primary_key=True)
    source_path: Mapped[str] = mapped_column(primary_key=True)
    member: Mapped[str] = mapped_column(primary_key=True, comment="path within an archive, else empty")
    attempt: Mapped[int] = mapped_column(SmallInteger)
    outcome: Mapped[str]
    key: Mapped[str | None]
    source_size: Mapped[int] = mapped_column(BigInteger)
    source_modified_at: Mapped[datetime | None]
    source_sha256: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    category: Mapped[str | None]
    message: Mapped[str | None]
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="1", comment="of the file, in that attempt")
    refetch: Mapped[str | None] = mapped_column(comment="id of the refetch that this was")
    finished_at: Mapped[datetime]


class JobCheckRow(Base):
    """A step of a run in mode Verify."""

    __tablename__ = "job_checks"

    # No foreign key, as above.
    job_uid: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    name: Mapped[str]
    outcome: Mapped[str]
    message: Mapped[str]
    category: Mapped[str | None]
    resolution: Mapped[str]
    finished_at: Mapped[datetime]


class LedgerRow(Base):
    """What is stored of one source file of a provider, as the runs reported it last."""

    __tablename__ = "ledger"

    namespace: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    # By bytes, so that a prefix is a range of the primary key.
    source_path: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    member: Mapped[str] = mapped_column(
        Text(collation="C"), primary_key=True, comment="path within an archive, else empty"
    )
    key: Mapped[str | None]
    source_size: Mapped[int] = mapped_column(BigInteger)
    source_modified_at: Mapped[datetime | None]
    source_sha256: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    refetch: Mapped[str | None] = mapped_column(comment="id of the last refetch that was done")
    job_uid: Mapped[str] = mapped_column(comment="the run that stored it")
    stored_at: Mapped[datetime]


class JobShardRow(Base):
    """How far one of several workers of a run said it is. Kept while the run is under way, to be added up."""

    __tablename__ = "job_shards"

    # No foreign key, as above.
    job_uid: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    progress: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class ApiKeyRow(Base):
    """An API key. The secret itself is shown once and kept nowhere."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True, comment="the public part of the key")
    subject: Mapped[str] = mapped_column(comment="who the key speaks for; also the tenant of idempotency keys")
    secret_hash: Mapped[str] = mapped_column(comment="HMAC-SHA256 under the server's pepper, hex")
    description: Mapped[str] = mapped_column(server_default="")
    scopes: Mapped[list[str]]
    namespaces: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[str | None] = mapped_column(comment="subject of who made it over REST")
    rotated_from: Mapped[str | None] = mapped_column(comment="id of the key that this one follows")
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class SigningKeyRow(Base):
    """A key that signs tokens from login. Its private part is sealed under a secret that is not in the database."""

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(primary_key=True, comment="the kid of the tokens it signs")
    sealed: Mapped[bytes] = mapped_column(comment="Ed25519 private key, AES-256-GCM")
    created_at: Mapped[datetime]
    signs_from: Mapped[datetime]
    signs_until: Mapped[datetime]
    verifies_until: Mapped[datetime]


class IdempotencyKeyRow(Base):
    """A claim on a request, made before its OctoJob is created; ``job_uid`` tells that it was."""

    __tablename__ = "idempotency_keys"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    namespace: Mapped[str]
    job_name: Mapped[str]
    manifest: Mapped[dict[str, Any]] = mapped_column(comment="the OctoJob to create, so that a crash can be repaired")
    job_uid: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index(None, "expires_at"),
        Index("ix_idempotency_keys_unfinished", "created_at", postgresql_where=text("job_uid IS NULL")),
    )


class JobLogRow(Base):
    """What a pod of a run wrote to its log, lines with timestamps, compressed."""

    __tablename__ = "job_logs"

    # No foreign key: a log may be kept before the mirror has seen its job.
    pod_uid: Mapped[str] = mapped_column(primary_key=True)
    job_uid: Mapped[str]
    attempt: Mapped[int] = mapped_column(SmallInteger)
    worker: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(comment="when the pod was made")
    head: Mapped[bytes]
    tail: Mapped[bytes | None] = mapped_column(comment="of a log whose middle was too long to be kept")
    ended: Mapped[bool] = mapped_column(comment="the pod had ended when its log was read")
    read_at: Mapped[datetime]

    __table_args__ = (Index(None, "job_uid", "attempt", "worker"), Index(None, "read_at"))


class BulkCancelRow(Base):
    """A request with an Idempotency-Key to end many runs: which ones, fixed when it first came."""

    __tablename__ = "bulk_cancels"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    uids: Mapped[list[str]]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True), comment="once it was carried out")
    expires_at: Mapped[datetime]

    __table_args__ = (Index(None, "expires_at"),)


class AuditRow(Base):
    """One mutation or refusal. Triggers refuse changes, and deletion but by ``octo_audit_prune``."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str | None] = mapped_column(comment="subject of the credential; none if there was no valid one")
    action: Mapped[str] = mapped_column(comment="resource and verb, such as jobs.create")
    outcome: Mapped[str] = mapped_column(comment="Allowed or Denied")
    namespace: Mapped[str | None]
    resource: Mapped[str | None]
    status: Mapped[int] = mapped_column(SmallInteger, comment="HTTP status of the answer")
    request_id: Mapped[str]
    client: Mapped[str | None] = mapped_column(comment="address of the client")
    details: Mapped[dict[str, Any]]

    __table_args__ = (Index(None, "at", "id"), Index(None, "actor", "at", "id"), Index(None, "namespace", "at", "id"))


class AuditIntentRow(Base):
    """A change that a request is about to make, and that is not in the audit log yet."""

    __tablename__ = "audit_intents"

    id: Mapped[str] = mapped_column(primary_key=True, comment="drawn for the request")
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, comment="a request may do several things")
    at: Mapped[datetime]
    entry: Mapped[dict[str, Any]] = mapped_column(comment="what of the audit row is known")
    probe: Mapped[dict[str, Any]] = mapped_column(comment="how to see whether it was done")

    __table_args__ = (Index(None, "at"),)
