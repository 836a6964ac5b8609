"""What an ended Job and its pods say of the attempt, and why a pod does not start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import ValidationError

from octo_controller.reconcile.draft import clip
from octo_controller.reconcile.model import JobView, Pods, PodView
from octo_core.domain.failure import Category, category_of_exit_code
from octo_core.domain.report import Outcome
from octo_core.domain.status import ManifestRef, Progress

COMPLETED = "Completed"

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
    """How an attempt ended; ``category`` None is success."""

    category: Category | None
    reason: str
    message: str = ""
    exit_code: int | None = None
    pod_name: str | None = None
    progress: Progress | None = None
    manifest: ManifestRef | None = field(default=None)


def classify(job: JobView, pods: Pods) -> Verdict:
    """The verdict on a Job that is over."""
    pod = _last(pods)
    ended = pod.ended if pod else None
    outcome = _outcome(ended.message) if ended else None
    pod_name = pod.name if pod else None
    exit_code = ended.exit_code if ended else None
    progress = outcome.progress if outcome and outcome.progress != Progress() else None
    manifest = outcome.manifest if outcome else None

    if job.complete:
        reason = _word(outcome.reason, COMPLETED) if outcome else COMPLETED
        message = outcome.message if outcome else ""
        return Verdict(None, reason, clip(message), exit_code, pod_name, progress, manifest)
    category, reason, message = _failure(job, pod, outcome)
    return Verdict(category, reason, clip(redact(message)), exit_code, pod_name, progress, manifest)


def why_pending(pods: Pods) -> Verdict:
    """Why no container of a Job runs yet, as the verdict if it stays so."""
    pod = pods.items[-1] if pods.items else None
    if pod is None:
        said = pods.warnings[-1] if pods.warnings else "the Job has no pod yet"
        if "exceeded quota" in said:
            return Verdict(Category.INFRA, "QuotaExceeded", clip(said))
        if "violates PodSecurity" in said or "forbidden" in said or "is invalid" in said:
            return Verdict(Category.CONFIG, "PodRejected", clip(said))
        return Verdict(Category.INFRA, "PodNotCreated", clip(said))
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
    return Verdict(Category.INFRA, "PodPending", clip(said), pod_name=pod.name)


def redact(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _last(pods: Pods) -> PodView | None:
    """The pod that speaks for the attempt: the newest that ended by itself, not by a disruption."""
    own = [pod for pod in pods.items if pod.ended and not pod.disrupted] or list(pods.items)
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
        return Category.INFRA, "PodLost", job.failed_message or "the pod went before it said how it ended"
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
