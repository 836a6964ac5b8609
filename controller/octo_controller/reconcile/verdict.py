"""How an attempt ended, and how one verdict is made of those on its workers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from octo_controller.reconcile.draft import clip
from octo_core.domain.failure import Category, leading_category
from octo_core.domain.status import ManifestRef, Progress, total

COMPLETED, WITH_SKIPS = "Completed", "CompletedWithSkips"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# A user's container may write anything; this must not travel on. Nothing here looks back or ahead without a bound: a
# line of 64 KiB would hold up the event loop for hours.
_SECRETS = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|\Z)", re.DOTALL), "[redacted]"),
    (re.compile(r"(?<=\w)://[^\s/@]+@"), r"://[redacted]@"),
    (
        re.compile(r"(?i)((?:password|passphrase|secret|token|api[_-]?key)[\w-]{0,64}\"?\s{0,16}[=:]\s{0,16})\S+"),
        r"\1[redacted]",
    ),
    (re.compile(r"(?i)(bearer\s+)\S+"), r"\1[redacted]"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt, or one worker of it, ended; ``category`` None is success."""

    category: Category | None
    reason: str
    message: str = ""
    exit_code: int | None = None
    pod_name: str | None = None
    progress: Progress | None = None
    manifest: ManifestRef | None = field(default=None)
    at: datetime | None = None
    partial: bool = False
    """Some workers did not say how far they came, so ``progress`` is less than what was done."""


def merged(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict on an attempt from those on its workers, by index: success only if all succeeded.

    It speaks with the words of one: of the first that failed in the leading way, else of the first with skips.
    """
    count = len(verdicts)
    if count == 1:
        return verdicts[0]
    category = _leading(verdicts)
    alike = [index for index, verdict in enumerate(verdicts) if verdict.category is category]
    reasons = {verdicts[index].reason for index in alike}
    if category is not None or len(reasons) == 1:
        reason = verdicts[alike[0]].reason
    else:
        reason = WITH_SKIPS if WITH_SKIPS in reasons else COMPLETED
    index = next((index for index in alike if verdicts[index].reason == reason), 0)
    speaker = verdicts[index]
    message = speaker.message or ("" if category is None else reason)
    if message and (category is not None or any(verdict.message != message for verdict in verdicts)):
        message = clip(f"worker {index + 1} of {count}: {message}")
    known = [verdict.progress for verdict in verdicts if verdict.progress is not None]
    # Each manifest was written over the one before; those of workers that ended together are the same.
    manifests = [verdict for verdict in verdicts if verdict.manifest is not None]
    newest = max(manifests, key=lambda verdict: verdict.at or _LONG_AGO, default=None)
    return Verdict(
        category,
        reason,
        message,
        speaker.exit_code,
        speaker.pod_name or next((verdict.pod_name for verdict in verdicts if verdict.pod_name), None),
        total(known) if known else None,
        newest.manifest if newest else None,
        partial=len(known) < count,
    )


def _leading(verdicts: Sequence[Verdict]) -> Category | None:
    failures = Counter(verdict.category for verdict in verdicts if verdict.category is not None)
    if Category.CANCELLED in failures:
        # Some came to their end before they were told to stop; the run did not.
        return Category.CANCELLED
    return leading_category(failures) if failures else None


def redact(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
