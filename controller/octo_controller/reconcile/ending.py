"""What an ended Job and its pods say of the attempt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from octo_controller.reconcile.draft import clip
from octo_controller.reconcile.model import JobView, Pods, PodView
from octo_controller.reconcile.verdict import COMPLETED, Verdict, merged, redact
from octo_core.domain.causes import CAUSES, Cause
from octo_core.domain.failure import Category, category_of_exit_code
from octo_core.domain.report import Outcome
from octo_core.domain.status import Progress

_KILLED = {137: "SIGKILL", 143: "SIGTERM"}
_CANNOT_START = ("ContainerCannotRun", "StartError", "CreateContainerError", "RunContainerError")
# Reasons of the condition DisruptionTarget.
_DISRUPTIONS = {
    "PreemptionByScheduler": "Preempted",
    "EvictionByEvictionAPI": "Evicted",
    "TerminationByKubelet": "Evicted",
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
}
# Reasons of a pod as a whole, which its node gives.
_POD_REASONS = {
    "Evicted": "Evicted",
    "Preempting": "Preempted",
    "NodeLost": "NodeLost",
    "Shutdown": "NodeLost",
    "NodeShutdown": "NodeLost",
    "Terminated": "NodeLost",
    "NodeAffinity": "NodeRejected",
    "UnexpectedAdmissionError": "NodeRejected",
    "DeadlineExceeded": "DeadlineExceeded",
}


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
        return _by(CAUSES["DeadlineExceeded"])
    if pod is None:
        # Of several workers, the Job says no more than that some failed.
        said = job.failed_message if job.workers == 1 else ""
        return _by(CAUSES["PodLost"], said or "the pod went before it said how it ended")
    if pod.reason or pod.disruption:
        return _by(_taken(pod), pod.message or f"the pod ended: {pod.reason or pod.disruption}")
    ended = pod.ended
    if ended is None:
        return _by(CAUSES["PodLost"], "the pod ended and its container left no word")
    if ended.reason == "OOMKilled":
        return _by(CAUSES["OOMKilled"])
    if ended.reason == "ContainerStatusUnknown":
        return _by(CAUSES["NodeLost"], "the node cannot say how the container ended")
    if ended.reason in _CANNOT_START:
        return _by(CAUSES[ended.reason], ended.message)
    if outcome is not None and outcome.category is not None:
        return outcome.category, _word(outcome.reason, outcome.category.value), outcome.message
    if ended.exit_code in _KILLED:
        return _by(CAUSES["Killed"], f"the container was ended by {_KILLED[ended.exit_code]}")
    category = category_of_exit_code(ended.exit_code) or Category.UNKNOWN
    reason = category.value if category is not Category.UNKNOWN else "Error"
    return category, reason, ended.message or f"exit code {ended.exit_code}"


def _taken(pod: PodView) -> Cause:
    """Why a pod was ended as a whole, and not by its container."""
    if pod.reason.startswith("OutOf"):
        return CAUSES["NodeRejected"]
    # An eviction for want of room has both words; a drain or a preemption only the second.
    return CAUSES[_POD_REASONS.get(pod.reason) or _DISRUPTIONS.get(pod.disruption) or "PodLost"]


def _by(cause: Cause, message: str = "") -> tuple[Category, str, str]:
    return cause.category, cause.reason, message or cause.meaning


def _word(text: str, fallback: str) -> str:
    """A reason as Kubernetes wants it: one CamelCase word."""
    word = re.sub(r"[^A-Za-z0-9_]", "", text)[:128]
    return word if word[:1].isalpha() else fallback
