"""Records what a real cluster says of pods that fail, for the table tests of the diagnosis.

    python -m tests.support.recordings tests/unit/octo_controller/reconcile/recorded

Needs the cluster of `make cluster` and the images of `make image`. One file for each case: the Job, its pods and the
Warning events about them, as the API server gave them, without managed fields and addresses.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.kubectl import Kubectl, KubectlError
from tests.support.release import image_tag

Raw = dict[str, Any]
NAMESPACE, RESTRICTED, FULL = "octo-recordings", "octo-recordings-restricted", "octo-recordings-full"
WITHIN = 180.0


def job(name: str, image: str, *command: str, container: Raw | None = None, spec: Raw | None = None, **job: Any) -> Raw:
    """A Job as the controller makes them, as far as failures go."""
    main = {"name": "worker", "image": image, "command": list(command), "imagePullPolicy": "IfNotPresent"}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [{**main, **(container or {})}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": {"spec": {**pod, **(spec or {})}},
            **job,
        },
    }


def volume(kind: str, value: Raw) -> tuple[Raw, Raw]:
    """A container and a pod with that volume."""
    return {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, {"volumes": [{"name": "v", kind: value}]}


def environment(kind: str) -> Raw:
    """A container that takes a variable from an object that is not there."""
    return {"env": [{"name": "X", "valueFrom": {kind: {"name": "none", "key": "k"}}}]}


def cases(image: str) -> dict[str, Raw]:
    """The Jobs by case, each with what it needs to fail in its way."""
    sleep, never = ("sleep", "600"), {"imagePullPolicy": "Never"}
    secret, in_secret = volume("secret", {"secretName": "none"})
    key, in_key = volume("secret", {"secretName": "there", "items": [{"key": "old", "path": "old"}]})
    config, in_config = volume("configMap", {"name": "none"})
    full, in_full = volume("emptyDir", {"sizeLimit": "1Mi"})
    hungry = {"resources": {"limits": {"memory": "24Mi"}}}
    return {
        "image-pull": job("image-pull", "registry.invalid/octo/none:1", *sleep),
        "image-not-present": job("image-not-present", "registry.invalid/octo/none:1", *sleep, container=never),
        "image-name": job("image-name", "Not:An:Image", *sleep),
        "secret-volume": job("secret-volume", image, *sleep, container=secret, spec=in_secret),
        "secret-key": job("secret-key", image, *sleep, container=key, spec=in_key),
        "config-map-volume": job("config-map-volume", image, *sleep, container=config, spec=in_config),
        "secret-variable": job("secret-variable", image, *sleep, container=environment("secretKeyRef")),
        "config-map-variable": job("config-map-variable", image, *sleep, container=environment("configMapKeyRef")),
        "node-selector": job("node-selector", image, *sleep, spec={"nodeSelector": {"none": "such"}}),
        "too-big": job("too-big", image, *sleep, container={"resources": {"requests": {"cpu": "1000"}}}),
        "account": job("account", image, *sleep, spec={"serviceAccountName": "none"}),
        "no-program": job("no-program", image, "/no/such/program"),
        "out-of-memory": job(
            "out-of-memory",
            image,
            "python3",
            "-c",
            "x = bytearray(1 << 30); x[::4096] = b'1' * len(x[::4096])",
            container=hungry,
        ),
        "volume-full": job(
            "volume-full", image, "sh", "-c", "head -c 8000000 /dev/zero >/v/x; sleep 600", container=full, spec=in_full
        ),
        "deadline": job("deadline", image, *sleep, activeDeadlineSeconds=3),
        "deleted": job("deleted", image, *sleep),
        "drained": job("drained", image, *sleep),
    }


def recorded(kubectl: Kubectl, name: str) -> Raw:
    """The Job, its pods, and the warnings about both."""
    pods = kubectl.json("get", "pods", "-l", f"batch.kubernetes.io/job-name={name}")["items"]
    names = [name, *(pod["metadata"]["name"] for pod in pods)]
    events = kubectl.json("get", "events", "--field-selector=type=Warning")["items"]
    about = [event for event in events if event["involvedObject"]["name"] in names]
    return {
        "job": _slim(kubectl.json("get", "job", name)),
        "pods": [_slim(p) for p in pods],
        "events": [_slim(event) for event in about],
    }


def _slim(raw: Raw) -> Raw:
    raw["metadata"].pop("managedFields", None)
    for field in ("hostIP", "hostIPs", "podIP", "podIPs"):
        raw.get("status", {}).pop(field, None)
    raw.get("spec", {}).pop("nodeName", None)
    raw["metadata"].pop("annotations", None)
    for field in ("reportingInstance", "source"):
        raw.pop(field, None)
    return raw


def settled(case: str, found: Raw) -> bool:
    """Whether the cluster has said what there is to say of this case."""
    pods = found["pods"]
    waits = [c["state"].get("waiting", {}) for pod in pods for c in pod["status"].get("containerStatuses", ())]
    if case.startswith("image"):
        words = " ".join(event["message"] for event in found["events"])
        return any(w.get("reason") not in (None, "ContainerCreating") for w in waits) and bool(words)
    if case in ("node-selector", "too-big"):
        return any(c.get("reason") == "Unschedulable" for pod in pods for c in pod["status"].get("conditions", ()))
    if "variable" in case:
        return any(w.get("reason") == "CreateContainerConfigError" for w in waits)
    if case in ("secret-volume", "secret-key", "config-map-volume"):
        return any(event["reason"] == "FailedMount" for event in found["events"])
    if case in ("account", "quota", "pod-security", "policy"):
        return any(event["reason"] == "FailedCreate" for event in found["events"])
    return any(c["type"] == "Failed" and c["status"] == "True" for c in found["job"]["status"].get("conditions", ()))


def main(folder: Path) -> None:
    """Record all cases."""
    image = f"octo/demo:{image_tag()}"
    wide = Kubectl("default")
    spaces = (NAMESPACE, RESTRICTED, FULL)
    try:
        for name in spaces:
            wide("delete", "namespace", name, "--ignore-not-found", "--timeout=120s")
            wide("create", "namespace", name)
        wide("label", "namespace", RESTRICTED, "pod-security.kubernetes.io/enforce=restricted")
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
        Kubectl(FULL).apply({**quota, "spec": {"hard": {"pods": "0"}}})
        there = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "there"}, "stringData": {"new": "x"}}
        Kubectl(NAMESPACE).apply(there)
        time.sleep(3)  # until the quota counts
        todo = {case: (Kubectl(NAMESPACE), body) for case, body in cases(image).items()}
        todo["quota"] = (Kubectl(FULL), job("quota", image, "true"))
        todo["pod-security"] = (Kubectl(RESTRICTED), job("pod-security", image, "true"))
        for kubectl, body in todo.values():
            kubectl.apply(body)
        helped: dict[str, Callable[[str], object]] = {
            "deleted": lambda pod: Kubectl(NAMESPACE)("delete", "pod", pod, "--wait=false"),
            "drained": lambda pod: Kubectl(NAMESPACE)(
                "create",
                "--raw",
                f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction",
                "-f",
                "-",
                stdin=json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}),
            ),
        }
        deadline = time.monotonic() + WITHIN
        while todo and time.monotonic() < deadline:
            for case, (kubectl, _) in list(todo.items()):
                found = recorded(kubectl, case)
                pods = found["pods"]
                if case in helped and pods and pods[0]["status"]["phase"] == "Running":
                    helped.pop(case)(pods[0]["metadata"]["name"])
                if settled(case, found):
                    (folder / f"{case}.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
                    del todo[case]
        sys.stderr.write(f"not recorded: {sorted(todo)}\n" if todo else "all recorded\n")
    finally:
        for name in spaces:
            try:
                wide("delete", "namespace", name, "--wait=false")
            except KubectlError as error:
                sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target)
