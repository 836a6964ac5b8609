"""Keeps the last lines of a failed pod's log with the attempt, for when the pod is gone."""

from __future__ import annotations

import asyncio
import logging

from octo_controller.reconcile.draft import fit
from octo_controller.reconcile.manifest import CONTAINER
from octo_controller.reconcile.verdict import redact
from octo_core.domain.errors import OctoError
from octo_core.domain.failure import Category
from octo_core.domain.status import MAX_LOG_TAIL_LENGTH, Attempt, OctoJobStatus
from octo_core.kube.client import KubeClient

logger = logging.getLogger(__name__)

LINES = 40
READ_BYTES = 64 * 1024
TIMEOUT_SECONDS = 10.0
"""A node that is gone does not answer, and no verdict waits longer for it."""


def just_failed(before: OctoJobStatus, after: OctoJobStatus) -> tuple[Attempt, ...]:
    """The attempts whose failure ``after`` is the first to tell, and that had a pod."""
    over = {attempt.number for attempt in before.attempts if attempt.completion_time is not None}
    return tuple(
        attempt
        for attempt in after.attempts
        if attempt.completion_time is not None
        and attempt.number not in over
        and attempt.pod_name is not None
        and attempt.category not in (None, Category.CANCELLED)
    )


def tail(text: str) -> str | None:
    """The last whole lines of a log that fit into a status, without what looks like a credential."""
    # Control characters would be six bytes each in JSON, and Postgres takes no NUL.
    kept = redact("".join(character if character.isprintable() or character in "\n\t" else "?" for character in text))
    kept = kept.strip("\n")
    if len(kept) > MAX_LOG_TAIL_LENGTH:
        kept = kept[-MAX_LOG_TAIL_LENGTH:]
        _, newline, rest = kept.partition("\n")
        kept = rest if newline else kept
    return kept or None


async def with_log_tails(
    client: KubeClient, namespace: str, before: OctoJobStatus, after: OctoJobStatus
) -> OctoJobStatus:
    """``after`` with the logs of the attempts that just failed, where they can be read. Never raises OctoError."""
    found: dict[int, str] = {}
    for attempt in just_failed(before, after):
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                text = await client.pod_log(
                    namespace,
                    attempt.pod_name or "",
                    container=CONTAINER,
                    tail_lines=LINES,
                    limit_bytes=READ_BYTES,
                )
        except (OctoError, TimeoutError) as error:
            logger.info("the log of pod %s cannot be read: %s", attempt.pod_name, error)
            continue
        lines = tail(text)
        if lines is not None:
            found[attempt.number] = lines
    if not found:
        return after
    attempts = tuple(
        attempt.model_copy(update={"log_tail": found.get(attempt.number, attempt.log_tail)})
        for attempt in after.attempts
    )
    return fit(after.model_copy(update={"attempts": attempts}))
