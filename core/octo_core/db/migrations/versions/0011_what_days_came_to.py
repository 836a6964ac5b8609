"""What each day came to: how many runs ended how, with how many files and bytes, kept by the database itself.

A trigger adds a row for each run that ends, in the transaction that says so, whoever writes it: also a controller
of the version before. Rows are only ever added, so writers neither wait for each other nor deadlock; the api folds
those of a day and outcome into one.

What ended before is counted once, by reading: no row of ``jobs`` is written. Writers wait for it, some seconds for a
million runs, readers do not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COUNTS = ("runs", "files", "files_failed", "bytes_downloaded", "bytes_uploaded")

# What a run adds to its day. A number that is none, or could not be, counts as nothing: it must not keep a row of
# ``jobs`` from being written.
_NUMBER = """
CREATE FUNCTION octo_job_number(status jsonb, name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(status->'progress'->name) = 'number'
           THEN least(greatest((status->'progress'->>name)::numeric, 0), 1e15)::bigint ELSE 0 END
$$
"""
_VALUES = """
    {row}.namespace, ({row}.finished_at AT TIME ZONE 'UTC')::date, {row}.state, {runs},
    {sign} octo_job_number({row}.status, 'filesDone'), {sign} octo_job_number({row}.status, 'filesFailed'),
    {sign} octo_job_number({row}.status, 'bytesDownloaded'), {sign} octo_job_number({row}.status, 'bytesUploaded')
"""
_INTO = f"INSERT INTO job_days (namespace, day, outcome, {', '.join(_COUNTS)})"
_ENDED = "{row}.finished_at IS NOT NULL AND {row}.state IN ('Succeeded', 'Failed', 'Cancelled')"
_ADD, _TAKE = _VALUES.format(row="NEW", runs="1", sign=""), _VALUES.format(row="OLD", runs="-1", sign="-")
_COUNT = f"""
CREATE FUNCTION octo_count_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND {_ENDED.format(row="OLD")} THEN
        {_INTO} VALUES ({_TAKE});
    END IF;
    IF TG_OP <> 'DELETE' AND {_ENDED.format(row="NEW")} THEN
        {_INTO} VALUES ({_ADD});
    END IF;
    RETURN NULL;
END
$$
"""
_COUNT_OLD = """
INSERT INTO job_days (namespace, day, outcome, runs, files, files_failed, bytes_downloaded, bytes_uploaded)
SELECT namespace, (finished_at AT TIME ZONE 'UTC')::date AS day, state, count(*),
       sum(octo_job_number(status, 'filesDone')), sum(octo_job_number(status, 'filesFailed')),
       sum(octo_job_number(status, 'bytesDownloaded')), sum(octo_job_number(status, 'bytesUploaded'))
FROM jobs WHERE finished_at IS NOT NULL AND state IN ('Succeeded', 'Failed', 'Cancelled')
GROUP BY namespace, day, state
"""
_TRIGGERS = {
    "octo_jobs_ended": f"INSERT ON jobs FOR EACH ROW WHEN ({_ENDED.format(row='NEW')})",
    "octo_jobs_ended_since": f"""UPDATE ON jobs FOR EACH ROW WHEN (
        (({_ENDED.format(row="OLD")}) OR ({_ENDED.format(row="NEW")}))
        AND (OLD.namespace, OLD.state, OLD.finished_at, OLD.status->'progress')
            IS DISTINCT FROM (NEW.namespace, NEW.state, NEW.finished_at, NEW.status->'progress'))""",
    "octo_jobs_gone": f"DELETE ON jobs FOR EACH ROW WHEN ({_ENDED.format(row='OLD')})",
}


def upgrade() -> None:
    """Make the table, count what there is, and count on."""
    op.create_table(
        "job_days",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="in UTC"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="a terminal state"),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_days")),
    )
    op.create_index(op.f("ix_job_days_namespace_day_outcome"), "job_days", ["namespace", "day", "outcome"])
    op.execute(_NUMBER)
    op.execute(_COUNT)
    # The first trigger takes the lock under which nobody writes ``jobs``: what is counted is all there is.
    for name, when in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} AFTER {when} EXECUTE FUNCTION octo_count_day()")
    op.execute(_COUNT_OLD)


def downgrade() -> None:
    """Count no more."""
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON jobs")
    op.execute("DROP FUNCTION octo_count_day()")
    op.execute("DROP FUNCTION octo_job_number(jsonb, text)")
    op.drop_table("job_days")
