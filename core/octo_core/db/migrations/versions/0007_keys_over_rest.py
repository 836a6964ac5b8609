"""What a key is for and where it came from; keys that sign tokens; an audit log that can only grow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Older than this, rows may be deleted, whoever asks; younger ones never.
_KEPT_AT_LEAST = "interval '30 days'"

_REFUSE = f"""
CREATE FUNCTION octo_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('octo.audit_prune', true) = 'on' AND OLD.at < now() - {_KEPT_AT_LEAST} THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$
"""

_PRUNE = """
CREATE FUNCTION octo_audit_prune(before timestamptz, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  gone bigint;
BEGIN
  PERFORM set_config('octo.audit_prune', 'on', true);
  DELETE FROM audit_log WHERE id IN (
    SELECT id FROM audit_log WHERE at < before ORDER BY at, id LIMIT most FOR UPDATE SKIP LOCKED
  );
  GET DIAGNOSTICS gone = ROW_COUNT;
  PERFORM set_config('octo.audit_prune', 'off', true);
  RETURN gone;
END
$$
"""


def upgrade() -> None:
    """Add columns, table, indexes and triggers."""
    op.add_column("api_keys", sa.Column("description", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "api_keys", sa.Column("created_by", sa.Text(), nullable=True, comment="subject of who made it over REST")
    )
    op.add_column(
        "api_keys", sa.Column("rotated_from", sa.Text(), nullable=True, comment="id of the key that this one follows")
    )
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Text(), nullable=False, comment="the kid of the tokens it signs"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="Ed25519 private key, AES-256-GCM"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signs_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signs_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verifies_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
    )
    op.create_index(op.f("ix_audit_log_actor_at_id"), "audit_log", ["actor", "at", "id"])
    op.create_index(op.f("ix_audit_log_namespace_at_id"), "audit_log", ["namespace", "at", "id"])
    op.execute(_REFUSE)
    op.execute(_PRUNE)
    op.execute(
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION octo_audit_refuse()"
    )
    op.execute(
        "CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION octo_audit_refuse()"
    )


def downgrade() -> None:
    """Take them away."""
    op.execute("DROP TRIGGER audit_log_no_truncate ON audit_log")
    op.execute("DROP TRIGGER audit_log_append_only ON audit_log")
    op.execute("DROP FUNCTION octo_audit_prune(timestamptz, integer)")
    op.execute("DROP FUNCTION octo_audit_refuse()")
    op.drop_index(op.f("ix_audit_log_namespace_at_id"), "audit_log")
    op.drop_index(op.f("ix_audit_log_actor_at_id"), "audit_log")
    op.drop_table("signing_keys")
    op.drop_column("api_keys", "rotated_from")
    op.drop_column("api_keys", "created_by")
    op.drop_column("api_keys", "description")
