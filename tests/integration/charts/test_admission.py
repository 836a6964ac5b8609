"""Who may write which field, as the API server decides it by the chart's policies."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart_rights import token_of
from tests.support.control_plane import ControlPlane
from tests.support.kubectl import ROOT, Kubectl, KubectlError, eventually
from tests.unit.charts.rendering import EMBEDDED, helm

NAMESPACE = "octo-admission"
KINDS = (
    *("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
RULES = [{"apiGroups": ["octo.dev"], "resources": ["*"], "verbs": ["*"]}]
STATUS = {"state": "Running", "attempt": 1, "attempts": [{"number": 1, "jobUID": "u"}]}
PROGRESS = {"progress": {"filesDone": 1, "updatedAt": "2026-01-01T00:00:00Z"}}


def rights_of_all() -> list[dict[str, Any]]:
    """A person, and for all callers every right on Octo's resources, so that the policies alone refuse."""
    group = "rbac.authorization.k8s.io"
    meta = {"metadata": {"name": "person"}}
    accounts = ("person", "octo-api", "octo-controller")
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", **meta},
        {"apiVersion": f"{group}/v1", "kind": "Role", **meta, "rules": RULES},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            **meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "person"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE} for name in accounts],
        },
    ]


def octojob(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoJob",
        "metadata": {"name": name, "finalizers": ["octo.dev/archive"]},
        "spec": {"providerRef": {"name": "bank"}, **spec},
    }


@pytest.fixture(scope="module")
def callers(bare_control_plane: ControlPlane) -> Iterator[dict[str, Kubectl]]:
    """kubectl as each of those who write, and the policies in force."""
    plane = bare_control_plane
    admin = plane.kubectl(NAMESPACE)
    admin("create", "namespace", NAMESPACE)
    sets = [part for value in (*EMBEDDED, "admissionPolicies.enabled=true") for part in ("--set", value)]
    rendered = helm("template", "octo", str(ROOT / "charts" / "octo"), "--namespace", NAMESPACE, *sets)
    objects = [found for found in yaml.safe_load_all(rendered) if found and found["kind"] in KINDS]
    admin.apply(*objects, *rights_of_all())
    folder = Path(tempfile.mkdtemp(prefix="octo-admission-"))
    found = {"admin": admin}
    for account in ("octo-api", "octo-controller", "person"):
        file = plane.write_kubeconfig(folder / account, token=token_of(plane, NAMESPACE, account))
        found[account] = Kubectl(NAMESPACE, file)
    admin.create(octojob("run"))
    admin("patch", "octojob", "run", "--subresource=status", "--type=merge", "-p", json.dumps({"status": STATUS}))
    # A policy takes effect a moment after it was made.
    for attempt in (forges_the_requester, forges_the_end, takes_the_finalizer):
        eventually(lambda attempt=attempt: not allowed(attempt, found["person"]), what="the policies to be in force")  # type: ignore[misc]
    yield found
    shutil.rmtree(folder, ignore_errors=True)


Deed = Callable[[Kubectl], object]


def create(name: str, **spec: Any) -> Deed:
    body = json.dumps(octojob(name, **spec))
    return lambda kubectl: kubectl("create", "--dry-run=server", "-f", "-", stdin=body)


def patch(body: dict[str, Any], *more: str) -> Deed:
    arguments = ("patch", "octojob", "run", "--dry-run=server", "--type=merge", *more, "-p", json.dumps(body))
    return lambda kubectl: kubectl(*arguments)


def status(**changes: Any) -> Deed:
    return patch({"status": changes}, "--subresource=status")


def cancel(by: str | None) -> Deed:
    asked = {"requestedAt": "2026-01-01T00:00:00Z", **({"requestedBy": by} if by else {})}
    return patch({"spec": {"cancel": asked}})


forges_the_requester = create("forged", requestedBy="boss")
forges_the_end = status(state="Succeeded")
takes_the_finalizer = patch({"metadata": {"finalizers": None}})


def allowed(deed: Deed, who: Kubectl) -> bool:
    """Whether it goes through; fails on a refusal that is none of the policies'."""
    try:
        deed(who)
    except KubectlError as error:
        if "ValidatingAdmissionPolicy" not in str(error):
            raise
        return False
    return True


DEEDS: dict[str, tuple[Deed, set[str]]] = {
    "a run": (create("plain"), {"person", "octo-api", "octo-controller", "admin"}),
    "a run in another's name": (forges_the_requester, {"octo-api", "octo-controller", "admin"}),
    "a run of a schedule": (
        create("tick", scheduleRef={"name": "bank", "scheduledTime": "2026-01-01T00:00:00Z"}),
        {"octo-api", "octo-controller", "admin"},
    ),
    "progress": (status(**PROGRESS), {"octo-api", "octo-controller", "admin"}),
    "an end": (forges_the_end, {"octo-controller", "admin"}),
    "an attempt": (status(attempts=[]), {"octo-controller", "admin"}),
    "no finalizer": (takes_the_finalizer, {"octo-controller", "admin"}),
    "a label": (patch({"metadata": {"labels": {"team": "a"}}}), {"person", "octo-api", "octo-controller", "admin"}),
    "a cancel": (cancel(None), {"person", "octo-api", "octo-controller", "admin"}),
    "a cancel in another's name": (cancel("boss"), {"octo-api", "octo-controller", "admin"}),
}


@pytest.mark.parametrize("what", list(DEEDS))
def test_who_may_write(callers: dict[str, Kubectl], what: str) -> None:
    deed, who = DEEDS[what]
    assert {name for name, kubectl in callers.items() if allowed(deed, kubectl)} == who


def test_the_policies_hold_in_this_namespace_alone(
    callers: dict[str, Kubectl], bare_control_plane: ControlPlane
) -> None:
    other = bare_control_plane.kubectl(f"{NAMESPACE}-other")
    other("create", "namespace", other.namespace)
    admin = callers["admin"]
    subject = f"--serviceaccount={NAMESPACE}:person"
    admin("-n", other.namespace, "create", "rolebinding", "person", "--clusterrole=cluster-admin", subject)
    person_there = Kubectl(other.namespace, callers["person"].kubeconfig)
    assert allowed(forges_the_requester, person_there)
