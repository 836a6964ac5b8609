"""Pod Security's `restricted` profile, and what Octo asks beyond it, as a list of violations."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.charts.rendering import Object, containers

ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(pod: Object) -> list[str]:
    """What in a pod spec breaks the rules; empty for a good one."""
    return [*_of_pod(pod), *(problem for container in containers(pod) for problem in _of_container(container))]


def _of_pod(pod: Object) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "pod: runAsNonRoot"
    if security.get("runAsUser") != 65532:
        yield "pod: runAsUser"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "pod: seccompProfile"
    if security.get("sysctls"):
        yield "pod: sysctls"
    for volume in pod.get("volumes", []):
        if not (set(volume) - {"name"}) <= ALLOWED_VOLUMES:
            yield f"volume {volume['name']}"


def _of_container(container: Object) -> Iterator[str]:
    name = container["name"]
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if security.get("privileged"):
        yield f"{name}: privileged"
    if security.get("readOnlyRootFilesystem") is not True:
        yield f"{name}: readOnlyRootFilesystem"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield f"{name}: capabilities"
    if security.get("runAsNonRoot") is not True or security.get("runAsUser", 1) == 0:
        yield f"{name}: runs as root"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield f"{name}: hostPort"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield f"{name}: resources"
