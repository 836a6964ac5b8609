"""With SubjectAccessReview, REST allows what `kubectl auth can-i` says of the same caller, on a real API server.

Each grant has a ServiceAccount of its own, in a namespace of its own, so that the group of that namespace's accounts
is its own too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from octo_api.auth.access_review import NEEDED
from octo_core.settings import DatabaseSettings
from tests.integration.api.conftest import PEPPER, PROVIDER_SPEC
from tests.support.control_plane import ControlPlane, control_plane
from tests.support.kubectl import Kubectl, KubectlError
from tests.support.waiting import until
from tests.support.whole_api import WholeApi, whole_api

Rule = dict[str, Any]

SERVED = "octo-cluster-rights"
OTHER = "octo-cluster-rights-other"
ACCOUNT = "caller"

# As docs/authentication.md has it.
RIGHTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "jobs:read": (("list", "octojobs"),),
    "jobs:create": (("create", "octojobs"),),
    "jobs:update": (("patch", "octojobs"),),
    "jobs:cancel": (("patch", "octojobs"),),
    "jobs:delete": (("delete", "octojobs"),),
    "providers:read": (("list", "octoproviders"),),
    "providers:write": (("create", "octoproviders"), ("update", "octoproviders"), ("delete", "octoproviders")),
}
VERBS = sorted({right for rights in RIGHTS.values() for right in rights})
# One request for each scope, and what it answers if it is allowed.
REQUESTS: Mapping[str, tuple[str, str, dict[str, Any] | None, int]] = {
    "jobs:read": ("GET", "/v1/jobs?namespace={namespace}", None, 200),
    "jobs:create": ("POST", "/v1/jobs?dryRun=All", {"provider": "acme", "namespace": "{namespace}"}, 202),
    "jobs:update": ("PATCH", "/v1/jobs/none", {"suspend": True}, 404),
    "jobs:cancel": ("POST", "/v1/jobs/none:cancel", {}, 404),
    "jobs:delete": ("DELETE", "/v1/jobs/none", None, 404),
    "providers:read": ("GET", "/v1/providers?namespace={namespace}", None, 200),
    "providers:write": ("DELETE", "/v1/providers/none?namespace={namespace}", None, 404),
}


def rule(verbs: str, *resources: str, group: str = "octo.dev", **more: Any) -> Rule:
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs.split(), **more}


@dataclass(frozen=True, slots=True)
class Grant:
    """What is given to an account, and by what."""

    rules: tuple[Rule, ...]
    role: str = "Role"
    everywhere: bool = False
    by_group: bool = False
    namespace: str = SERVED


ALL = rule("*", "*")
READ = rule("get list watch", "octojobs", "octoproviders")
GRANTS: Mapping[str, Grant] = {
    "nothing": Grant(()),
    "list": Grant((rule("list", "octojobs"),)),
    "get": Grant((rule("get watch", "octojobs"),)),
    "create-patch": Grant((rule("create patch", "octojobs"),)),
    "create-group": Grant((rule("create", "octojobs"),), by_group=True),
    "delete": Grant((rule("delete", "octojobs"),)),
    "delete-one": Grant((rule("delete", "octojobs", resourceNames=["one"]),)),
    "some-providers": Grant((rule("create update", "octoproviders"),)),
    "providers": Grant((rule("create update delete", "octoproviders"), rule("list", "octojobs"))),
    "update": Grant((rule("update", "octojobs"),)),
    "other-group": Grant((rule("*", "octojobs", group="example.dev"),)),
    "status": Grant((rule("*", "octojobs/status"),)),
    "clusterrole": Grant((READ,), role="ClusterRole"),
    "clusterrole-group": Grant((ALL,), role="ClusterRole", by_group=True),
    "everywhere": Grant((rule("*", "octojobs"),), role="ClusterRole", everywhere=True),
    "everywhere-group": Grant((READ,), role="ClusterRole", everywhere=True, by_group=True),
    "elsewhere": Grant((ALL,), namespace=OTHER),
}


def home(name: str) -> str:
    return f"octo-cluster-rights-{name}-home"


def objects_of(name: str, grant: Grant) -> list[dict[str, Any]]:
    """The account and what it is given."""
    full = f"octo-cluster-rights-{name}"
    role: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": grant.role,
        "metadata": {"name": full, **({"namespace": grant.namespace} if grant.role == "Role" else {})},
        "rules": list(grant.rules),
    }
    subject = (
        {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": f"system:serviceaccounts:{home(name)}"}
        if grant.by_group
        else {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": home(name)}
    )
    binding: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding" if grant.everywhere else "RoleBinding",
        "metadata": {"name": full, **({} if grant.everywhere else {"namespace": grant.namespace})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": grant.role, "name": full},
        "subjects": [subject],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": home(name)}}
    return [account, role, binding]


@asynccontextmanager
async def reviewing(
    plane: ControlPlane, database: DatabaseSettings, folder: Path, namespace: str
) -> AsyncIterator[WholeApi]:
    """An api that asks the cluster what callers may do."""
    settings = {"subject_access_review": True, "auth_bindings": "[]"}
    async with whole_api(plane, database, folder, namespace=namespace, pepper=PEPPER, **settings) as api:
        yield api


def can(kubectl: Kubectl, verb: str, resource: str) -> bool:
    """What `kubectl auth can-i` says; it exits with 1 for a no."""
    try:
        return kubectl("auth", "can-i", verb, f"{resource}.octo.dev").strip() == "yes"
    except KubectlError as error:
        if not str(error).endswith(": "):
            raise  # It complained of something.
        return False


async def allowed_over_rest(client: httpx.AsyncClient, token: str, namespace: str) -> dict[str, bool]:
    """For each scope, whether its request is done there."""
    found = {}
    for scope, (method, path, body, good) in REQUESTS.items():
        filled = body and {key: namespace if value == "{namespace}" else value for key, value in body.items()}
        answer = await client.request(
            method,
            path.format(namespace=namespace),
            json=filled,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
            if method == "PATCH"
            else {"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code in (good, 403), (scope, answer.text)
        found[scope] = answer.status_code == good
    return found


async def test_rest_and_kubectl_agree(
    bare_control_plane: ControlPlane, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    async with reviewing(bare_control_plane, database_settings, tmp_path, SERVED) as api:
        await asyncio.to_thread(give, bare_control_plane)
        await compare_all(api, tmp_path)


def give(plane: ControlPlane) -> None:
    """Make all accounts, what they are given, and a provider to run."""
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home(name)}} for name in (*GRANTS,)]
    other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OTHER}}
    plane.kubectl("default").apply(other, *spaces)
    provider = {"apiVersion": "octo.dev/v1alpha1", "kind": "OctoProvider", "spec": PROVIDER_SPEC}
    objects: list[dict[str, Any]] = [
        {**provider, "metadata": {"name": "acme", "namespace": where}} for where in (SERVED, OTHER)
    ]
    objects += [made for name, grant in GRANTS.items() for made in objects_of(name, grant)]
    # kubectl takes the objects of one namespace at a time.
    for namespace in {found["metadata"].get("namespace", "default") for found in objects}:
        own = [found for found in objects if found["metadata"].get("namespace", "default") == namespace]
        plane.kubectl(namespace).apply(*own)


async def compare_all(api: WholeApi, folder: Path) -> None:
    """What each account can, by both ways."""
    plane = api.plane

    async def compare(client: httpx.AsyncClient, name: str, grant: Grant) -> None:
        admin = plane.kubectl(home(name))
        own = (await asyncio.to_thread(admin, "create", "token", ACCOUNT)).strip()
        config = plane.write_kubeconfig(folder / f"{name}.kubeconfig", token=own)
        if name in EFFECT:
            verb, resource = EFFECT[name]
            where = Kubectl(grant.namespace, config)

            async def given() -> bool:
                return await asyncio.to_thread(can, where, verb, resource)

            # The API server itself learns of a binding a moment later; answers of REST are remembered.
            await until(given, what=f"the effect of {name}")
        token = (await asyncio.to_thread(admin, "create", "token", ACCOUNT, "--audience", "octo")).strip()
        for namespace in (SERVED, OTHER):
            there = Kubectl(namespace, config)
            rights = {right: await asyncio.to_thread(can, there, *right) for right in VERBS}
            by_kubectl = {scope: all(rights[right] for right in needed) for scope, needed in RIGHTS.items()}
            by_rest = await allowed_over_rest(client, token, namespace)
            if namespace == OTHER:
                # An id says nothing of a namespace; and an api serves its own, and else whom the whole cluster trusts.
                by_id = {"jobs:update", "jobs:cancel", "jobs:delete"}
                by_rest = {scope: allowed for scope, allowed in by_rest.items() if scope not in by_id}
                trusted = grant.everywhere
                by_kubectl = {scope: allowed and trusted for scope, allowed in by_kubectl.items() if scope not in by_id}
            assert by_rest == by_kubectl, (name, namespace)

    async with httpx.AsyncClient(base_url=api.url, timeout=240) as client:
        # One by one costs minutes, all at once more processes than the machine has memory for.
        gate = asyncio.Semaphore(4)

        async def one(name: str, grant: Grant) -> None:
            async with gate:
                await compare(client, name, grant)

        await asyncio.gather(*(one(name, grant) for name, grant in GRANTS.items()))


# A right that each grant gives, by which it is seen to be in effect.
EFFECT: Mapping[str, tuple[str, str]] = {
    "list": ("list", "octojobs"),
    "get": ("get", "octojobs"),
    "create-patch": ("patch", "octojobs"),
    "create-group": ("create", "octojobs"),
    "delete": ("delete", "octojobs"),
    "some-providers": ("update", "octoproviders"),
    "providers": ("delete", "octoproviders"),
    "update": ("update", "octojobs"),
    "clusterrole": ("list", "octoproviders"),
    "clusterrole-group": ("delete", "octoproviders"),
    "everywhere": ("delete", "octojobs"),
    "everywhere-group": ("list", "octoproviders"),
    "elsewhere": ("delete", "octoproviders"),
}


def test_the_scopes_need_what_the_documentation_says() -> None:
    for scope, rights in RIGHTS.items():
        assert tuple((needed.verb, needed.resource) for needed in NEEDED[scope]) == rights


async def test_a_token_of_another_cluster_is_refused(
    bare_control_plane: ControlPlane, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """The same account in a cluster with other keys, which calls itself by the same name."""
    namespace = "octo-cluster-rights-visited"
    async with reviewing(bare_control_plane, database_settings, tmp_path, namespace) as api:
        (tmp_path / "stranger").mkdir()
        with control_plane(tmp_path / "stranger") as stranger:
            stranger.kubectl("default")("create", "namespace", namespace)
            tokens = []
            for plane in (bare_control_plane, stranger):
                kubectl = plane.kubectl(namespace)
                kubectl("create", "serviceaccount", ACCOUNT)
                tokens.append(kubectl("create", "token", ACCOUNT, "--audience", "octo").strip())
        own, foreign = tokens
        async with httpx.AsyncClient(base_url=api.url, timeout=240) as client:

            async def status(token: str) -> int:
                return (await client.get("/v1/jobs", headers={"Authorization": f"Bearer {token}"})).status_code

            # Known, and without rights; not known at all.
            assert await status(own) == 403
            assert await status(foreign) == 401
            assert await status(own) == 403
