"""Why no container of an attempt runs yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from octo_controller.reconcile.draft import clip
from octo_controller.reconcile.model import JobView, Pods, PodView
from octo_controller.reconcile.refusal import refusal_cause
from octo_controller.reconcile.verdict import Verdict
from octo_core.domain.causes import CAUSES

PENDING, NO_POD = "PodPending", "PodNotCreated"

_IMAGE_WAITS = {
    "InvalidImageName": "InvalidImageName",
    "ErrImageNeverPull": "ImageNotPresent",
    "ErrImagePull": "ImagePullError",
    "ImagePullBackOff": "ImagePullError",
    "RegistryUnavailable": "ImagePullError",
    "ImageInspectError": "ImagePullError",
    "SignatureValidationFailed": "ImagePullDenied",
}
# Of an image that could not be pulled: in the kubelet's words, which are the runtime's and the registry's.
_IMAGE_WORDS = (
    (
        r"\b(401|403)\b|unauthorized|denied|authorization failed|no basic auth|authentication required",
        "ImagePullDenied",
    ),
    (r"not found|manifest unknown|does not exist|no such image|name unknown", "ImageNotFound"),
)
# Of a container that cannot be configured, and of events about the pod, newest first.
_SAID = (
    (r"secret .*not found|non-existent secret key|find key .* in Secret", "SecretMissing"),
    (r"configmap .*not found|non-existent config key|find key .* in ConfigMap", "ConfigMapMissing"),
    (r"MountVolume|AttachVolume|attach or mount volumes", "VolumeMountFailed"),
    (r"create pod sandbox", "SandboxError"),
)


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
    return next((why for why in reasons if why.reason not in (PENDING, NO_POD)), reasons[0])


def _why_no_pod(pods: Pods) -> Verdict:
    if not pods.warnings:
        return _verdict(NO_POD, "the Job has no pod yet")
    said = pods.warnings[-1]
    # Whatever else the words are, somebody refused the pod.
    refused = "forbidden" in said or "is invalid" in said
    cause = refusal_cause(said, otherwise="PodRejected" if refused else NO_POD)
    return Verdict(cause.category, cause.reason, clip(said))


def _why_pod_waits(pod: PodView, pods: Pods) -> Verdict:
    warnings = pods.warnings + pod.warnings
    if pod.waiting in _IMAGE_WAITS:
        said = pod.waiting_message or pod.waiting
        reason = _IMAGE_WAITS[pod.waiting]
        if reason == "ImagePullError":
            # While it backs off, only the event still has the registry's words.
            reason, said = _first(_IMAGE_WORDS, (said, *reversed(warnings))) or (reason, said)
        return _verdict(reason, said, pod)
    if pod.waiting in CAUSES:
        reason, said = _first(_SAID[:2], (pod.waiting_message,)) or (pod.waiting, pod.waiting_message)
        return _verdict(reason, said, pod)
    if pod.unschedulable:
        return _verdict("Unschedulable", pod.unschedulable, pod)
    reason, said = _first(_SAID, reversed(warnings)) or (
        PENDING,
        warnings[-1] if warnings else "the pod has not started",
    )
    return _verdict(reason, said, pod)


def _first(patterns: Sequence[tuple[str, str]], texts: Iterable[str]) -> tuple[str, str] | None:
    """The reason by the first text that fits a pattern, and that text."""
    for text in texts:
        for pattern, reason in patterns:
            if re.search(pattern, text, re.IGNORECASE):
                return reason, text
    return None


def _verdict(reason: str, said: str, pod: PodView | None = None) -> Verdict:
    return Verdict(CAUSES[reason].category, reason, clip(said), pod_name=pod.name if pod else None)
