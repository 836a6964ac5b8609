"""What each reason of a failure means and what a person can do about it: the table behind
``status.failure.resolution``, and the one in docs/operations.md."""

from __future__ import annotations

from dataclasses import dataclass

from octo_core.domain.failure import RESOLUTIONS, Category

PENDING_DEADLINE, ACTIVE_DEADLINE = "PendingDeadlineExceeded", "ActiveDeadlineExceeded"
DEADLINE = "DeadlineExceeded"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason, in CamelCase, that Octo itself gives."""

    reason: str
    category: Category
    meaning: str
    resolution: str


_INFRA, _CONFIG = Category.INFRA, Category.CONFIG

_TABLE = (
    # Before there is a pod.
    Cause(
        "ProviderNotFound",
        _CONFIG,
        "there was no OctoProvider of that name until the pending deadline",
        "Make the OctoProvider, or correct spec.providerRef.name, then rerun.",
    ),
    Cause(
        "InvalidSpec",
        _CONFIG,
        "the OctoProvider is there and cannot be used",
        "Correct the field that the message names, then rerun.",
    ),
    Cause(
        "ForbiddenByConcurrency",
        _CONFIG,
        "its concurrency key was busy and its policy is Forbid",
        "Rerun when the others are over, or use the policy Enqueue.",
    ),
    Cause(
        "NameTaken",
        _CONFIG,
        "a Job of something else, or of an earlier OctoJob that did not go in time, has the name of the attempt's Job",
        "Delete that Job, or use another name for the OctoJob.",
    ),
    Cause(
        "JobRejected",
        _CONFIG,
        "the API server finds the Job invalid",
        "Correct the field of the OctoProvider's podTemplate or container that the message names.",
    ),
    Cause(
        "JobForbidden",
        _INFRA,
        "the API server does not allow the controller to make the Job",
        "Give the controller the rights of the chart's Role.",
    ),
    Cause(
        "NamespaceTerminating",
        _INFRA,
        "the namespace is being deleted, and takes no new objects",
        "Make the OctoJob in another namespace, or once this one is there again.",
    ),
    Cause(
        "QuotaExceeded",
        _INFRA,
        "a ResourceQuota of the namespace is used up",
        "Raise the quota, lower podTemplate.resources, or run fewer at once by concurrency.max.",
    ),
    Cause(
        "PodSecurityViolation",
        _CONFIG,
        "Pod Security refuses the pod",
        "Change what the message names in the OctoProvider's podTemplate or container; Octo's own pods are restricted.",
    ),
    Cause(
        "AdmissionDenied",
        _CONFIG,
        "an admission webhook or policy of the cluster refuses the Job or its pod",
        "Meet the policy that the message names by the OctoProvider's podTemplate, or have it exempt Octo's pods.",
    ),
    Cause(
        "WebhookUnavailable",
        _INFRA,
        "an admission webhook of the cluster does not answer",
        "Repair the webhook that the message names.",
    ),
    Cause(
        "ServiceAccountMissing",
        _CONFIG,
        "the pod's ServiceAccount does not exist",
        "Make it, or correct podTemplate.serviceAccountName.",
    ),
    Cause(
        "PodRejected",
        _CONFIG,
        "the API server refuses the pod",
        "Correct the field of the OctoProvider's podTemplate or container that the message names.",
    ),
    Cause(
        "PodNotCreated",
        _INFRA,
        "the Job has no pod yet, and nobody says why",
        "Look whether kube-controller-manager runs.",
    ),
    # Before its container runs.
    Cause(
        "Unschedulable",
        _INFRA,
        "no node has room for the pod, or none that it may use",
        "Add nodes, lower podTemplate.resources, or correct podTemplate.nodeSelector and tolerations.",
    ),
    Cause(
        "ImageNotFound",
        _CONFIG,
        "the registry has no such image",
        "Correct the image's name or tag in the OctoProvider, or push it.",
    ),
    Cause(
        "ImagePullDenied",
        _CONFIG,
        "the registry does not give the image to this cluster",
        "Name a Secret with the registry's credentials in podTemplate.imagePullSecrets.",
    ),
    Cause(
        "InvalidImageName",
        _CONFIG,
        "the image's name is none",
        "Correct the image's name in the OctoProvider.",
    ),
    Cause(
        "ImageNotPresent",
        _CONFIG,
        "the image must not be pulled, and the node does not have it",
        "Load the image onto the nodes, or let it be pulled.",
    ),
    Cause(
        "ImagePullError",
        _INFRA,
        "the image could not be pulled",
        "Look whether the registry answers from the nodes.",
    ),
    Cause(
        "SecretMissing",
        _CONFIG,
        "a Secret, or a key of it, that the OctoProvider names does not exist",
        "Make the Secret with the key that the message names; the pod goes on by itself until the pending deadline.",
    ),
    Cause(
        "ConfigMapMissing",
        _CONFIG,
        "a ConfigMap, or a key of it, that the OctoProvider names does not exist",
        "Make the ConfigMap with the key that the message names; the pod goes on by itself until the pending deadline.",
    ),
    Cause(
        "VolumeMountFailed",
        _INFRA,
        "a volume cannot be attached or mounted",
        "Look at the volume that the message names, and its storage driver.",
    ),
    Cause(
        "CreateContainerConfigError",
        _CONFIG,
        "the container's configuration cannot be used",
        "Correct what the message names in the OctoProvider's container.",
    ),
    *(
        Cause(
            reason,
            _CONFIG,
            "the container's program could not be started",
            "Correct container.command and the image: the program must be there and be executable.",
        )
        for reason in ("CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun")
    ),
    Cause(
        "SandboxError",
        _INFRA,
        "the node cannot make the pod's sandbox",
        "Look at the node's network plug-in and container runtime.",
    ),
    Cause(
        "PodPending",
        _INFRA,
        "the pod has not started, and nobody says why",
        "Look whether the scheduler and the node's kubelet run.",
    ),
    # While it runs.
    Cause(
        "OOMKilled",
        _INFRA,
        "the container needed more memory than its limit",
        "Raise the memory limit in podTemplate.resources, or lower transfer.concurrentFiles.",
    ),
    Cause(
        "Evicted",
        _INFRA,
        "the node ran short of memory or disk, or the pod exceeded a volume's limit, or was drained",
        "Give the pod what it needs in podTemplate.resources; the next attempt takes what is not stored yet.",
    ),
    Cause(
        "Preempted",
        _INFRA,
        "a pod of higher priority took its place",
        "Nothing: the next attempt waits for room. Add nodes if it happens often.",
    ),
    Cause(
        "NodeLost",
        _INFRA,
        "the node went away, or was shut down, while the pod ran",
        "Look at the node; the next attempt takes what is not stored yet.",
    ),
    Cause(
        "NodeRejected",
        _INFRA,
        "the node did not take the pod that was given to it",
        "Look at the node's free resources and labels.",
    ),
    Cause(
        "PodDeleted",
        _INFRA,
        "somebody deleted the pod, or drained its node",
        "Nothing: the next attempt takes what is not stored yet.",
    ),
    Cause(
        "PodLost",
        _INFRA,
        "the pod went before it said how it ended",
        "Look at the node that it ran on.",
    ),
    Cause(
        "JobLost",
        _INFRA,
        "somebody deleted the attempt's Job",
        "Do not delete Octo's Jobs; cancel the OctoJob instead.",
    ),
    Cause(
        "Killed",
        _INFRA,
        "the container was ended by a signal that is not Octo's",
        "Look at the node for memory pressure, and at who ends its processes.",
    ),
    Cause(
        DEADLINE,
        Category.TIMEOUT,
        "the attempt took longer than attemptDeadlineSeconds",
        RESOLUTIONS[Category.TIMEOUT],
    ),
    Cause(
        ACTIVE_DEADLINE,
        Category.TIMEOUT,
        "the run with all its attempts took longer than activeDeadlineSeconds",
        RESOLUTIONS[Category.TIMEOUT],
    ),
    Cause(
        "Error",
        Category.UNKNOWN,
        "the container ended with an exit code that stands for no category",
        RESOLUTIONS[Category.UNKNOWN],
    ),
)

CAUSES: dict[str, Cause] = {cause.reason: cause for cause in _TABLE}
"""By reason. Reasons that a worker gives itself stand for their category (``failure.RESOLUTIONS``), and
``PendingDeadlineExceeded`` for the reason that its message begins with."""


def resolution_of(category: Category, reason: str, message: str = "") -> str:
    """What a person can do about a failure, as exactly as it is known."""
    if reason == PENDING_DEADLINE:
        reason = message.partition(":")[0]
    cause = CAUSES.get(reason)
    return cause.resolution if cause is not None else RESOLUTIONS[category]
