"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False, comment="the public part of the key"),
        sa.Column(
            "subject", sa.Text(), nullable=False, comment="who the key speaks for; also the tenant of idempotency keys"
        ),
        sa.Column("secret_hash", sa.Text(), nullable=False, comment="HMAC-SHA256 under the server's pepper, hex"),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("namespaces", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "actor", sa.Text(), nullable=True, comment="subject of the credential; none if there was no valid one"
        ),
        sa.Column("action", sa.Text(), nullable=False, comment="resource and verb, such as jobs.create"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="Allowed or Denied"),
        sa.Column("namespace", sa.Text(), nullable=True),
        sa.Column("resource", sa.Text(), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=False, comment="HTTP status of the answer"),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=True, comment="address of the client"),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at_id"), "audit_log", ["at", "id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column(
            "manifest",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the OctoJob to create, so that a crash can be repaired",
        ),
        sa.Column("job_uid", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key_hash", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
    op.create_index(
        "ix_idempotency_keys_unfinished",
        "idempotency_keys",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("job_uid IS NULL"),
    )
    op.create_table(
        "job_files",
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("source_path", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False, comment="path within an archive, else empty"),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("source_size", sa.BigInteger(), nullable=False),
        sa.Column("source_modified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_uid", "source_path", "member", name=op.f("pk_job_files")),
    )
    op.create_table(
        "jobs",
        sa.Column("uid", sa.Text(), nullable=False, comment="metadata.uid; the job's id over REST"),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column(
            "resource_version",
            sa.Numeric(precision=40, scale=0),
            nullable=False,
            comment="of the OctoJob this row shows; a row is replaced by a higher one only",
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="of the Succeeded condition"),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("failure_category", sa.Text(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("rerun_of", sa.Text(), nullable=True, comment="uid of the run this one repeats"),
        sa.Column("idempotency_key_hash", sa.Text(), nullable=True),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "deleted_at", sa.DateTime(timezone=True), nullable=True, comment="when the OctoJob was seen to be gone"
        ),
        sa.Column("last_event", sa.Integer(), nullable=False, comment="highest sequence number in job_events"),
        sa.Column("mirrored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_namespace_created_at_uid"), "jobs", ["namespace", "created_at", "uid"], unique=False)
    op.create_index(op.f("ix_jobs_namespace_name"), "jobs", ["namespace", "name"], unique=False)
    op.create_index(
        op.f("ix_jobs_namespace_provider_created_at_uid"),
        "jobs",
        ["namespace", "provider", "created_at", "uid"],
        unique=False,
    )
    op.create_index(
        op.f("ix_jobs_namespace_state_created_at_uid"),
        "jobs",
        ["namespace", "state", "created_at", "uid"],
        unique=False,
    )
    op.create_table(
        "job_events",
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="the state the job went into, or Deleted"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["job_uid"], ["jobs.uid"], name=op.f("fk_job_events_job_uid_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_uid", "seq", name=op.f("pk_job_events")),
    )
