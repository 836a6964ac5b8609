"""The batch/v1 Job of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from octo_core.crd.resources import OctoJob, OctoProvider
from octo_core.domain import names
from octo_core.domain.partitions import partition_labels
from octo_core.domain.provider import OctoProviderSpec, SecretKeyRef
from octo_core.domain.run import (
    MEMORY_DIR,
    RUN_DIR,
    RUN_FILE,
    SECRETS_DIR,
    TERMINATION_LOG,
    TOKEN_FILE,
    RunIdentity,
    resolve_options,
    resolve_run,
)

Raw = dict[str, Any]

CONTAINER = "worker"
USER = 65532
READABLE = 0o440
"""Secrets are read through the pod's fsGroup."""
RESOURCES: Raw = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the pods of all runs share."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    service_account: str = "octo-worker"
    report_url: str | None = None


def child_job(job: OctoJob, provider: OctoProvider, attempt: int, pods: PodSettings) -> Raw:
    """The Job: one pod, or one for each worker that shares the run, once. Whether there is a next attempt is
    decided by the controller alone."""
    options = resolve_options(job.spec, provider.spec)
    of_pods = {
        names.LABEL_JOB: job.meta.name,
        names.LABEL_JOB_UID: job.meta.uid,
        names.LABEL_ATTEMPT: str(attempt),
        names.LABEL_PROVIDER: job.spec.provider_ref.name,
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
    }
    # No controller watches pods, so that they need not say whose part they are.
    labels = {**of_pods, **partition_labels(job.meta.namespace, job.spec.provider_ref.name)}
    identity = RunIdentity(
        namespace=job.meta.namespace,
        name=job.meta.name,
        uid=job.meta.uid,
        attempt=attempt,
        provider=job.spec.provider_ref.name,
        created_at=job.meta.creation_timestamp,
    )
    run = resolve_run(identity, job.spec, provider.spec, report_url=pods.report_url)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.child_name(job.meta.name, attempt),
            "namespace": job.meta.namespace,
            "labels": {**labels, names.LABEL_QUEUE: options.queue_name} if options.queue_name else labels,
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": "OctoJob",
                    "name": job.meta.name,
                    "uid": job.meta.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            **_pods_of(run.transfer.parallelism),
            # Suspended from the start, so that no pod is there before Kueue has seen the Job.
            **({"suspend": True} if options.queue_name else {}),
            "activeDeadlineSeconds": min(options.attempt_deadline_seconds, options.active_deadline_seconds),
            # A second pod only once the first has ended, and only if a disruption took it.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "template": {
                "metadata": {
                    "labels": of_pods,
                    "annotations": {names.ANNOTATION_RUN: run.model_dump_json(by_alias=True)},
                },
                "spec": _pod(provider.spec, options.termination_grace_period_seconds, pods),
            },
        },
    }


def _pods_of(workers: int) -> Raw:
    """How many pods there are, and that none is made again because it failed."""
    if workers == 1:
        return {"completions": 1, "parallelism": 1, "backoffLimit": 0}
    # The failure of one worker leaves the others to their end: what they store is stored.
    return {
        "completionMode": "Indexed",
        "completions": workers,
        "parallelism": workers,
        "backoffLimitPerIndex": 0,
        "maxFailedIndexes": workers,
    }


def _pod(provider: OctoProviderSpec, grace: int, pods: PodSettings) -> Raw:
    template = provider.pod_template
    volumes = _volumes(provider, reports=pods.report_url is not None)
    spec: Raw = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace,
        "serviceAccountName": template.service_account_name or pods.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [volume for volume, _ in volumes if volume],
        "containers": [_container(provider, pods, [mount for _, mount in volumes])],
    }
    if provider.container is not None:
        spec["volumes"] += [dict(volume) for volume in provider.container.volumes]
    if template.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret.name} for secret in template.image_pull_secrets]
    if template.node_selector:
        spec["nodeSelector"] = dict(template.node_selector)
    if template.tolerations:
        spec["tolerations"] = [dict(toleration) for toleration in template.tolerations]
    return spec


def _container(provider: OctoProviderSpec, pods: PodSettings, mounts: list[Raw]) -> Raw:
    own = provider.container
    container: Raw = {
        "name": CONTAINER,
        "image": own.image if own else provider.pod_template.image or pods.image,
        "imagePullPolicy": pods.image_pull_policy,
        "resources": provider.pod_template.resources or RESOURCES,
        "terminationMessagePath": TERMINATION_LOG,
        # Ours always writes its outcome; of a user's program the last lines of its log may be all there is.
        "terminationMessagePolicy": "FallbackToLogsOnError" if own else "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": mounts,
    }
    if own is not None:
        container["volumeMounts"] = mounts + [dict(mount) for mount in own.volume_mounts]
        for field, value in (("command", own.command), ("args", own.args), ("env", own.env), ("envFrom", own.env_from)):
            if value:
                container[field] = list(value)
    return container


def _volumes(provider: OctoProviderSpec, *, reports: bool) -> list[tuple[Raw, Raw]]:
    """Octo's own volumes, each with its mount. The prefix keeps clear of a user's volumes.

    Every one costs the API server some 2 % of a run: it stands in the Job and in the pod, and each of a dozen writes
    takes all of it in, compares it and stores it anew. So there are those that are used.
    """
    volumes = _told(reports=reports)
    if provider.container is None:
        volumes.append(
            _volume("memory", MEMORY_DIR, {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, writable=True)
        )
    tmp = {"emptyDir": {"sizeLimit": "64Mi"}}
    volumes.append(_volume("tmp", "/tmp", tmp, writable=True))  # noqa: S108 - the pod's own
    if provider.source is not None:
        secret = provider.source.sftp.credentials_secret_ref.name
        volumes.append(_volume("sftp", f"{SECRETS_DIR}/sftp", _secret(secret)))
    if provider.destination is not None and provider.destination.s3.credentials_secret_ref is not None:
        secret = provider.destination.s3.credentials_secret_ref.name
        volumes.append(_volume("s3", f"{SECRETS_DIR}/s3", _secret(secret)))
    openpgp = provider.decrypt.openpgp if provider.decrypt else None
    if openpgp is not None:
        refs = [("privateKey", openpgp.key_secret_ref), ("passphrase", openpgp.passphrase_secret_ref)]
        for number, key in enumerate(openpgp.additional_keys):
            folder = f"additional/{number}"
            refs += [(f"{folder}/privateKey", key.key_secret_ref), (f"{folder}/passphrase", key.passphrase_secret_ref)]
        refs.append(("signerKeys", openpgp.signer_keys_secret_ref))
        sources = [_item(ref, path) for path, ref in refs if ref is not None]
        if sources:
            projected = {"projected": {"sources": sources, "defaultMode": READABLE}}
            volumes.append(_volume("openpgp", f"{SECRETS_DIR}/openpgp", projected))
    return volumes


def _told(*, reports: bool) -> list[tuple[Raw, Raw]]:
    """The run document and, where there is somebody to report to, the token for that: of one volume, at both places."""
    run_file, token_file = PurePosixPath(RUN_FILE), PurePosixPath(TOKEN_FILE)
    annotation = {"fieldRef": {"fieldPath": f"metadata.annotations['{names.ANNOTATION_RUN}']"}}
    document = {"downwardAPI": {"items": [{"path": run_file.name, **annotation}]}}
    if not reports:
        return [_volume("run", RUN_DIR, document)]
    token = {
        "serviceAccountToken": {"audience": names.REPORT_AUDIENCE, "expirationSeconds": 3600, "path": token_file.name}
    }
    volume = _volume("run", RUN_DIR, {"projected": {"sources": [document, token], "defaultMode": READABLE}})
    _, again = _volume("run", str(token_file.parent), {})
    return [volume, ({}, again)]


def _volume(name: str, path: str, source: Raw, *, writable: bool = False) -> tuple[Raw, Raw]:
    mount: Raw = {"name": f"octo-{name}", "mountPath": path}
    if not writable:
        mount["readOnly"] = True
    return {"name": f"octo-{name}", **source}, mount


def _secret(name: str) -> Raw:
    return {"secret": {"secretName": name, "defaultMode": READABLE}}


def _item(ref: SecretKeyRef, path: str) -> Raw:
    return {"secret": {"name": ref.name, "items": [{"key": ref.key, "path": path}]}}
