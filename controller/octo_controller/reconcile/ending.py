"""What an ended Job and its pods say of the attempt, and why a pod does not start."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import ValidationError

from octo_controller.reconcile.draft import clip
from octo_controller.reconcile.model import JobView, Pods, PodView
from octo_core.domain.failure import Category, category_of_exit_code, leading_category
from octo_core.domain.report import Outcome
from octo_core.domain.status import ManifestRef, Progress, total

COMPLETED, WITH_SKIPS = "Completed", "CompletedWithSkips"
PENDING = "PodPending"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# A user's container may write anything as its last words; these must not travel on.
_SECRETS = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|\Z)", re.DOTALL), "[redacted]"),
    (re.compile(r"(\w+://)[^\s/@]+@"), r"\1[redacted]@"),
    (
        re.compile(r"(?i)([\w-]*(?:password|passphrase|secret|token|api[_-]?key)[\w-]*\"?\s*[=:]\s*)\S+"),
        r"\1[redacted]",
    ),
    (re.compile(r"(?i)(bearer\s+)\S+"), r"\1[redacted]"),
)
_KILLED = {137: "SIGKILL", 143: "SIGTERM"}
_CANNOT_START = ("ContainerCannotRun", "StartError", "CreateContainerError", "RunContainerError")
_IMAGE_WAITS = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
_CONFIG_WAITS = ("InvalidImageName", "ErrImageNeverPull")


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


def classify(job: JobView, pods: Pods, *, asked: bool) -> Verdict:
    """The verdict on a Job that is over; ``asked`` says that its end was asked for.

    If it was not, a worker that says it was told to stop had its pod deleted or drained under it.
    """
    verdicts = []
    for index in range(job.workers):
        verdict = _of_worker(job, index, pods.of(index))
        if verdict.category is Category.CANCELLED and not asked:
            message = "the pod was ended from outside"
            verdict = replace(verdict, category=Category.INFRA, reason="PodDeleted", message=message)
        verdicts.append(verdict)
    return merged(verdicts)


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


def _of_worker(job: JobView, index: int, pods: Sequence[PodView]) -> Verdict:
    """The verdict on one of the workers of a Job that is over."""
    pod = _last(pods)
    ended = pod.ended if pod else None
    outcome = _outcome(ended.message) if ended else None
    pod_name = pod.name if pod else None
    exit_code = ended.exit_code if ended else None
    progress = outcome.progress if outcome and outcome.progress != Progress() else None
    manifest = outcome.manifest if outcome else None
    at = ended.at if ended else None

    if job.complete or index in job.succeeded:
        reason = _word(outcome.reason, COMPLETED) if outcome else COMPLETED
        message = outcome.message if outcome else ""
        return Verdict(None, reason, clip(message), exit_code, pod_name, progress, manifest, at)
    category, reason, message = _failure(job, pod, outcome)
    return Verdict(category, reason, clip(redact(message)), exit_code, pod_name, progress, manifest, at)


def awaited(job: JobView, pods: Pods) -> tuple[PodView | None, ...]:
    """The workers that have neither begun nor ended: the pod of each, or None where it has none."""
    found: list[PodView | None] = []
    for index in range(job.workers):
        if index in job.succeeded or index in job.unsuccessful:
            continue
        pod = pods.of(index)[-1] if pods.of(index) else None
        if pod is None or (pod.phase == "Failed" and pod.disrupted):
            found.append(None)  # Kubernetes makes another one after a disruption.
        elif pod.waits:
            found.append(pod)
    return tuple(found)


def why_pending(job: JobView, pods: Pods) -> Verdict:
    """Why no container of a Job runs yet, as the verdict if it stays so: the first reason of those that wait which
    tells more than that they do."""
    waiting = awaited(job, pods) or pods.items[-1:] or (None,)
    reasons = [_why_no_pod(pods) if pod is None else _why_pod_waits(pod, pods) for pod in waiting]
    return next((why for why in reasons if why.reason not in (PENDING, "PodNotCreated")), reasons[0])


def _why_no_pod(pods: Pods) -> Verdict:
    said = pods.warnings[-1] if pods.warnings else "the Job has no pod yet"
    if "exceeded quota" in said:
        return Verdict(Category.INFRA, "QuotaExceeded", clip(said))
    if "violates PodSecurity" in said or "forbidden" in said or "is invalid" in said:
        return Verdict(Category.CONFIG, "PodRejected", clip(said))
    return Verdict(Category.INFRA, "PodNotCreated", clip(said))


def _why_pod_waits(pod: PodView, pods: Pods) -> Verdict:
    if pod.waiting in _IMAGE_WAITS:
        return Verdict(Category.INFRA, "ImagePullError", clip(pod.waiting_message or pod.waiting), pod_name=pod.name)
    if pod.waiting in _CONFIG_WAITS:
        return Verdict(Category.CONFIG, "ImagePullError", clip(pod.waiting_message or pod.waiting), pod_name=pod.name)
    if pod.waiting == "CreateContainerConfigError" or pod.waiting in _CANNOT_START:
        return Verdict(Category.CONFIG, pod.waiting, clip(pod.waiting_message), pod_name=pod.name)
    if pod.unschedulable:
        return Verdict(Category.INFRA, "Unschedulable", clip(pod.unschedulable), pod_name=pod.name)
    for said in reversed(pods.warnings + pod.warnings):
        if re.search(r"secret .*not found|non-existent secret key|configmap .*not found", said, re.IGNORECASE):
            return Verdict(Category.CONFIG, "SecretMissing", clip(said), pod_name=pod.name)
    said = pod.warnings[-1] if pod.warnings else "the pod has not started"
    return Verdict(Category.INFRA, PENDING, clip(said), pod_name=pod.name)


def redact(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _last(pods: Sequence[PodView]) -> PodView | None:
    """The pod that speaks for a worker: the newest that ended by itself, not by a disruption."""
    own = [pod for pod in pods if pod.ended and not pod.disrupted] or pods
    return own[-1] if own else None


def _outcome(message: str) -> Outcome | None:
    try:
        return Outcome.model_validate_json(message, extra="ignore")
    except ValidationError:
        return None


def _failure(job: JobView, pod: PodView | None, outcome: Outcome | None) -> tuple[Category, str, str]:
    if job.failed_reason == "DeadlineExceeded":
        return Category.TIMEOUT, "DeadlineExceeded", "the attempt took longer than activeDeadlineSeconds"
    if pod is None:
        # Of several workers, the Job says no more than that some failed.
        said = job.failed_message if job.workers == 1 else ""
        return Category.INFRA, "PodLost", said or "the pod went before it said how it ended"
    if pod.reason:
        return Category.INFRA, _word(pod.reason, "PodLost"), f"the pod ended: {pod.reason}"
    ended = pod.ended
    if ended is None:
        return Category.INFRA, "PodLost", "the pod ended and its container left no word"
    if ended.reason == "OOMKilled":
        return Category.INFRA, "OOMKilled", "the container needed more memory than its limit"
    if ended.reason in _CANNOT_START:
        return Category.CONFIG, ended.reason, ended.message
    if outcome is not None and outcome.category is not None:
        return outcome.category, _word(outcome.reason, outcome.category.value), outcome.message
    said = ended.message or f"exit code {ended.exit_code}"
    if ended.exit_code in _KILLED:
        return Category.INFRA, "Killed", f"the container was ended by {_KILLED[ended.exit_code]}"
    category = category_of_exit_code(ended.exit_code) or Category.UNKNOWN
    return category, category.value if category is not Category.UNKNOWN else "Error", said


def _word(text: str, fallback: str) -> str:
    """A reason as Kubernetes wants it: one CamelCase word."""
    word = re.sub(r"[^A-Za-z0-9_]", "", text)[:128]
    return word if word[:1].isalpha() else fallback
