"""An archive of runs that have ended, made by SQL in the time that a machine needs to write it."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

CHUNK = 100_000

_RUNS = """
INSERT INTO jobs (uid, namespace, name, provider, resource_version, generation, state, reason, attempt,
  failure_category, priority, requested_by, rerun_of, schedule, idempotency_key_hash, labels, spec, status,
  created_at, started_at, finished_at, deleted_at, last_event)
SELECT md5('archived-' || n)::uuid::text, $1, 'archived-' || n, 'provider-' || n % 20, n, 1, outcome.state,
  outcome.state, 1, CASE outcome.state WHEN 'Failed' THEN 'RemoteUnavailable' END, 0, 'user-' || n % 50, NULL,
  CASE WHEN n % 2 = 0 THEN 'provider-' || n % 20 END, md5(n::text),
  jsonb_build_object('app.kubernetes.io/managed-by', 'octo', 'octo.dev/provider', 'provider-' || n % 20,
    'octo.dev/partition', (n % 20)::text, 'team', 'team-' || n % 10),
  jsonb_build_object('providerRef', jsonb_build_object('name', 'provider-' || n % 20),
    'requestedBy', 'user-' || n % 50, 'parameters', jsonb_build_object('date', '2026-01-02'),
    'idempotency', jsonb_build_object('keyHash', md5(n::text) || md5(n::text), 'fingerprint', md5('f' || n))),
  jsonb_build_object('state', outcome.state, 'attempt', 1, 'observedGeneration', 1,
    'startTime', to_char(at.made + interval '2 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'completionTime', to_char(at.made + interval '90 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'attempts', jsonb_build_array(jsonb_build_object('number', 1, 'jobUID', md5('j' || n)::uuid::text,
      'podName', 'archived-' || n || '-1-x7k2p', 'exitCode', 0,
      'startTime', to_char(at.made + interval '2 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'completionTime', to_char(at.made + interval '90 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))),
    'progress', jsonb_build_object('filesListed', 340, 'filesSelected', 12, 'filesSkipped', 328, 'filesDone', 12,
      'filesFailed', 0, 'bytesDownloaded', 93000000, 'bytesUploaded', 268435456, 'summary', '12/12',
      'updatedAt', to_char(at.made + interval '89 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
    'manifestRef', jsonb_build_object('key', 'landing/manifests/archived-' || n || '.jsonl'),
    'conditions', (SELECT jsonb_agg(jsonb_build_object('type', type, 'status', 'True', 'reason', outcome.state,
      'message', '', 'lastTransitionTime', to_char(at.made + interval '90 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
      FROM unnest(ARRAY['Accepted', 'Admitted', 'Finished', 'Archived', 'Succeeded']) AS type)),
  at.made, at.made + interval '2 s', at.made + interval '90 s', at.made + interval '1 day', 5
FROM generate_series($2::int, $3::int) AS n,
  LATERAL (SELECT timestamptz '2020-01-01Z' + n * interval '7 s' AS made) AS at,
  LATERAL (SELECT CASE WHEN n % 10 < 8 THEN 'Succeeded' WHEN n % 10 = 8 THEN 'Failed' ELSE 'Cancelled' END AS state)
    AS outcome
"""

_READ = """
SELECT (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname = 'jobs')
     + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'jobs')
"""


async def fill(url: str, namespace: str, runs: int, say: Callable[[str], None]) -> None:
    """Make so many archived runs, and leave the table as autovacuum would have it in a while."""
    connection = await asyncpg.connect(url)
    try:
        for first in range(1, runs + 1, CHUNK):
            last = min(first + CHUNK - 1, runs)
            await connection.execute(_RUNS, namespace, first, last)
            say(f"{last} runs in the archive")
        await connection.execute("VACUUM ANALYZE jobs")
    finally:
        await connection.close()


async def rows_read(url: str) -> int:
    """How many rows of ``jobs``, and entries of its indexes, Postgres has looked at so far.

    By a connection of its own: what others did is counted when they are idle for a second, or end.
    """
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(_READ))
    finally:
        await connection.close()
