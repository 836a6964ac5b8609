"""Each right of the chart is used, by the parts as processes on a real API server, and is missed when taken away.

The API server's audit log says what each account asked for. Then each verb on each resource is taken away by itself,
and the API server refuses the request that was made with it.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from deploy.chart.rights import resource_name, rights

from octo_core.domain.names import LABEL_ARCHIVED, REPORT_AUDIENCE
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import SUBJECT_ACCESS_REVIEWS, Resource
from octo_core.settings import DatabaseSettings
from tests.support.api_process import api_process
from tests.support.audit_log import AuditLog, Request
from tests.support.chart_rights import token_of
from tests.support.control_plane import ControlPlane, control_plane
from tests.support.controllers import IMAGE, Site
from tests.support.kubectl import ROOT, Kubectl, KubectlError, eventually
from tests.support.waiting import until
from tests.unit.charts.rendering import EMBEDDED, helm

NAMESPACE = "octo-rights-used"
SUBJECT = f"system:serviceaccount:{NAMESPACE}:"
PEPPER = "p" * 32
FAR = "2099-01-01T00:00:00Z"
KINDS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
RBAC = "rbac.authorization.k8s.io"
ROLES = {
    kind: Resource(RBAC, "v1", f"{kind.lower()}s", kind, namespaced=kind == "Role") for kind in ("Role", "ClusterRole")
}
CONTAINER = {"container": {"image": IMAGE}}
# Asked for by no request, but by an admission plugin, of whoever makes an object with blockOwnerDeletion.
BY_OWNERSHIP = ("octo-controller", "octojobs.octo.dev/finalizers", "update")
Raw = dict[str, Any]
Key = tuple[str, str, str]
"""Account, resource and verb."""


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path)


@pytest.fixture
def plane(tmp_path: Path, audit: AuditLog) -> Iterator[ControlPlane]:
    plugins = "--enable-admission-plugins=PodSecurity,OwnerReferencesPermissionEnforcement"
    with control_plane(tmp_path, plugins, *audit.arguments) as running:
        running.install_crds()
        yield running


@pytest.fixture
def roles(plane: ControlPlane) -> list[Raw]:
    """The namespace with the chart's accounts and their rights; the roles as applied."""
    kubectl = plane.kubectl(NAMESPACE)
    kubectl("create", "namespace", NAMESPACE)
    sets = [part for value in (*EMBEDDED, "auth.subjectAccessReview=true") for part in ("--set", value)]
    rendered = helm("template", "octo", str(ROOT / "charts" / "octo"), "--namespace", NAMESPACE, *sets)
    objects = [found for found in yaml.safe_load_all(rendered) if found and found["kind"] in KINDS]
    kubectl.apply(*objects, *a_person())
    return objects


@pytest.fixture
def place(plane: ControlPlane, roles: list[Raw], database_settings: DatabaseSettings, tmp_path: Path) -> Iterator[Site]:
    token = token_of(plane, NAMESPACE, "octo-controller")
    url = database_settings.database_url.get_secret_value()
    made = Site(plane, plane.kubectl(NAMESPACE), url, tmp_path, token)
    yield made
    made.close()


def a_person() -> list[Raw]:
    """Whose rights over REST are those in the cluster."""
    meta = {"metadata": {"name": "person"}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", **meta},
        {
            **{"apiVersion": f"{RBAC}/v1", "kind": "Role", **meta},
            "rules": [
                {"apiGroups": ["octo.dev"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
            ],
        },
        {
            **{"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", **meta},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "person"},
            "subjects": [{"kind": "ServiceAccount", "name": "person", "namespace": NAMESPACE}],
        },
    ]


def ends(kubectl: Kubectl, job: str, *, code: int) -> None:
    """Say of the pod of a Job that its container ended, as a kubelet would."""

    def pod() -> str:
        return kubectl("get", "pods", "-l", f"batch.kubernetes.io/job-name={job}", "-o", "name").strip()

    name = eventually(pod, what=f"the pod of {job}")
    at = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    container = kubectl.json("get", name)["spec"]["containers"][0]["name"]
    said = {"name": container, "image": IMAGE, "imageID": "", "ready": False, "restartCount": 0}
    state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **at}}
    status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [{**said, "state": state}]}
    kubectl("patch", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def drive_the_controller(place: Site) -> None:
    """All that a controller does, and for each a reason to do it."""
    kubectl = place.kubectl
    controller = place.controller(
        "one", resync_interval_seconds=2, archive_after_seconds=0, cancel_force_after_seconds=1
    )
    controller.program.start()
    place.provider("bank")
    place.provider("clock", schedule={"cron": "* * * * *"})
    # Its pod ends: Jobs and pods are looked at, the log is asked for, and it is put aside.
    place.run("over", "bank", retryPolicy={"maxAttempts": 1})
    place.wait_for_job("over")
    ends(kubectl, "over-1", code=3)
    place.wait_for_state("over", "Failed")
    eventually(
        lambda: LABEL_ARCHIVED in kubectl.json("get", "octojob", "over")["metadata"].get("labels", {}), what="put aside"
    )
    # It changes out of view.
    kubectl("label", "octojob", "over", "team=rates")
    # Its time to live is over at once.
    place.run("brief", "bank", ttl={"afterSuccessSeconds": 0, "afterFailureSeconds": 0})
    place.wait_for_job("brief")
    ends(kubectl, "brief-1", code=0)
    # Its Job goes by another's hand and leaves its pod behind.
    place.run("lost", "bank", retryPolicy={"maxAttempts": 1})
    place.wait_for_job("lost")
    uid = ("get", "octojob", "lost", "-o", "jsonpath={.status.attempts[0].jobUID}")
    eventually(lambda: kubectl(*uid), what="its uid")
    kubectl("delete", "job", "lost-1", "--cascade=orphan")
    # Held, and cancelled.
    place.run("held", "bank")
    place.wait_for_job("held")
    kubectl("patch", "octojob", "held", "--type=merge", "-p", json.dumps({"spec": {"suspend": True}}))
    eventually(lambda: kubectl.json("get", "job", "held-1")["spec"].get("suspend"), what="a suspended Job")
    cancel = {"requestedAt": "2026-01-01T00:00:00Z", "mode": "Force"}
    kubectl("patch", "octojob", "held", "--type=merge", "-p", json.dumps({"spec": {"cancel": cancel}}))
    place.wait_for_state("held", "Cancelled")
    # Twice the same trouble, which is one Event, counted.
    place.run("early", "later", startAfter=FAR)
    for _ in range(2):
        eventually(lambda: accepted(kubectl, "early") == "False", what="no provider")
        place.provider("later")
        eventually(lambda: accepted(kubectl, "early") == "True", what="a provider")
        kubectl("delete", "octoprovider", "later")
    eventually(lambda: kubectl("get", "octojobs", "-o", "jsonpath={.items[*].spec.scheduleRef.name}"), what="a tick")


def accepted(kubectl: Kubectl, name: str) -> str:
    return kubectl("get", "octojob", name, "-o", 'jsonpath={.status.conditions[?(@.type=="Accepted")].status}')


async def drive_the_api(place: Site, database: DatabaseSettings, folder: Path) -> None:
    """All that an api does in the cluster."""
    config = place.plane.write_kubeconfig(folder / "api.kubeconfig", token=token_of(place.plane, NAMESPACE, "octo-api"))
    kubectl = place.kubectl
    person = kubectl("create", "token", "person", "--audience=octo", "--duration=1h").strip()
    async with (
        api_process(
            database_url=database.database_url.get_secret_value(),
            kubeconfig=config,
            pepper=PEPPER,
            log=folder / "api.log",
            namespace=NAMESPACE,
            subject_access_review=True,
            progress_interval_seconds=0,
        ) as process,
        httpx.AsyncClient(
            base_url=process.url, headers={"Authorization": f"Bearer {person}"}, timeout=240, trust_env=False
        ) as http,
    ):

        async def ask(method: str, path: str, **more: Any) -> httpx.Response:
            answer = await http.request(method, f"/v1/{path}", **more)
            assert answer.is_success, f"{method} {path}: {answer.text}"
            return answer

        await ask("POST", "providers", json={"name": "rest", "spec": CONTAINER})
        await ask("GET", "providers")
        made = await ask("GET", "providers/rest")
        await ask("PUT", "providers/rest", json={"spec": CONTAINER}, headers={"If-Match": made.headers["ETag"]})
        uid = (await ask("POST", "jobs", json={"provider": "rest"})).json()["id"]
        name = kubectl("get", "octojobs", "-o", f'jsonpath={{.items[?(@.metadata.uid=="{uid}")].metadata.name}}')
        await until(lambda: runs(kubectl, name), what="its pod, in its status")
        await ask("GET", f"jobs/{uid}/explain")
        pod = kubectl.json("get", "pods", "-l", f"batch.kubernetes.io/job-name={name}-1")["items"][0]["metadata"]
        bound = ("--bound-object-kind=Pod", "--bound-object-name", pod["name"], "--bound-object-uid", pod["uid"])
        worker = kubectl("create", "token", "octo-worker", "--audience", REPORT_AUDIENCE, *bound).strip()
        report = {"attempt": 1, "shard": 0, "progress": {"filesSelected": 1, "filesDone": 1, "summary": "1/1"}}
        bearer = {"Authorization": f"Bearer {worker}"}
        await ask("POST", f"reports/{uid}", json={**report, "files": []}, headers=bearer)
        ends(kubectl, f"{name}-1", code=0)
        # No kubelet is there to give it; that it may be asked for is what counts.
        await http.get(f"/v1/jobs/{uid}/logs")
        second = (await ask("POST", "jobs", json={"provider": "rest", "startAfter": FAR})).json()["id"]
        await ask("POST", f"jobs/{second}:cancel", json={})
        await ask("DELETE", f"jobs/{second}")
        await ask("DELETE", "providers/rest")


async def runs(kubectl: Kubectl, name: str) -> bool:
    attempt = kubectl("get", "octojob", name, "-o", "jsonpath={.status.attempt}")
    return attempt == "1" and bool(kubectl("get", "pods", "-l", f"batch.kubernetes.io/job-name={name}-1", "-o", "name"))


def apply_crds(place: Site, folder: Path) -> None:
    config = place.plane.write_kubeconfig(
        folder / "crds.kubeconfig", token=token_of(place.plane, NAMESPACE, "octo-crds")
    )
    subprocess.run(
        [sys.executable, "-m", "octo_api", "apply-crds"],
        env={"OCTO_KUBECONFIG": str(config), "PATH": os.environ["PATH"]},
        timeout=240,
        check=True,
    )


def asked(audit: AuditLog) -> dict[Key, Request]:
    """What Octo's accounts asked for and were allowed, and a request of each; fails on one that was refused."""
    found: dict[Key, Request] = {}
    for request in audit.requests():
        account = request.user.removeprefix(SUBJECT)
        if account.startswith("octo-") and request.user != account:
            assert request.allowed, request
            found.setdefault((account, *request.right), request)
    return found


def used_all(unused: list[Key]) -> bool:
    assert not unused
    return True


def given(roles: list[Raw]) -> set[Key]:
    return {(right.account, right.resource, right.verb) for right in rights(roles)}


def poorer_roles(roles: list[Raw]) -> Iterator[tuple[Key, Raw]]:
    """Each verb on each resource, and its role without it."""
    for role in roles:
        for number, rule in enumerate(role.get("rules", ())):
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        less = {**rule, "resources": [resource], "verbs": [one for one in rule["verbs"] if one != verb]}
                        rest = {**rule, "resources": [one for one in rule["resources"] if one != resource]}
                        poorer = copy.deepcopy(role)
                        poorer["rules"][number : number + 1] = [
                            part for part in (less, rest) if part["resources"] and part["verbs"]
                        ]
                        yield (account_of(role, roles), resource_name(group, resource), verb), poorer


def account_of(role: Raw, roles: list[Raw]) -> str:
    subjects = [
        binding["subjects"]
        for binding in roles
        if binding.get("roleRef", {}).get("name") == role["metadata"]["name"]
        and binding["roleRef"]["kind"] == role["kind"]
    ]
    return str(subjects[0][0]["name"])


async def refused(kube: KubeClient, account: str, request: Request) -> bool:
    """Whether the API server would refuse it now."""
    group = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
    spec = {"user": SUBJECT + account, "groups": group, "resourceAttributes": request.attributes()}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return not (await kube.create(SUBJECT_ACCESS_REVIEWS, None, review))["status"]["allowed"]


def a_job_of(kubectl: Kubectl, octojob: Raw) -> Raw:
    owner = {key: octojob[key] for key in ("apiVersion", "kind")} | {
        key: octojob["metadata"][key] for key in ("name", "uid")
    }
    container = {"name": "main", "image": IMAGE}
    return {
        **{"apiVersion": "batch/v1", "kind": "Job"},
        "metadata": {"name": "owned", "ownerReferences": [{**owner, "blockOwnerDeletion": True, "controller": True}]},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


async def test_each_right_is_used_and_missed(
    plane: ControlPlane,
    roles: list[Raw],
    place: Site,
    audit: AuditLog,
    database_settings: DatabaseSettings,
    tmp_path: Path,
) -> None:
    await asyncio.to_thread(drive_the_controller, place)
    await drive_the_api(place, database_settings, tmp_path)
    await asyncio.to_thread(apply_crds, place, tmp_path)
    wanted = given(roles)

    def unused() -> list[Key]:
        return sorted(wanted - {BY_OWNERSHIP} - set(asked(audit)))

    await asyncio.to_thread(lambda: eventually(lambda: used_all(unused()), what="each right used"))
    # The API server lets nobody do more than is given, and refused nothing: so this is all there is.
    requests = asked(audit)
    assert set(requests) | {BY_OWNERSHIP} == wanted
    place.close()

    kubectl = plane.kubectl(NAMESPACE)
    owned = json.dumps(a_job_of(kubectl, kubectl.json("get", "octojob", "early")))
    controller = Kubectl(NAMESPACE, tmp_path / "one.kubeconfig")

    def makes_an_owned_job() -> bool:
        try:
            controller("create", "--dry-run=server", "-f", "-", stdin=owned)
        except KubectlError as error:
            if "cannot set blockOwnerDeletion" not in str(error):
                raise
            return False
        return True

    assert makes_an_owned_job()
    missed = set()
    async with await KubeClient.connect(str(plane.kubeconfig)) as kube:
        for key, role in poorer_roles(roles):
            kind, name = ROLES[role["kind"]], role["metadata"]["name"]
            namespace = NAMESPACE if kind.namespaced else None
            await kube.replace(kind, namespace, name, role)
            if key == BY_OWNERSHIP:
                await asyncio.to_thread(lambda: eventually(lambda: not makes_an_owned_job(), what="a refusal"))
            else:
                await until(partial(refused, kube, key[0], requests[key]), what=f"a refusal without {key}")
            missed.add(key)
            whole = next(one for one in roles if one["metadata"]["name"] == name and one["kind"] == kind.kind)
            await kube.replace(kind, namespace, name, whole)
    assert missed == wanted
