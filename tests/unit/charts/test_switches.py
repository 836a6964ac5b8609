"""Each value of the chart changes what is rendered: none is forgotten in a template, none is dead."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest
import yaml
from deploy.chart.values_page import UndocumentedError, page, values

from tests.unit.charts.rendering import CHART, LOADER, REPO, Object, helm

DIGEST = "sha256:" + "a" * 64
EMBEDDED = {"postgres.embedded.enabled": True}
OWN = {"database.existingSecret": "db", "auth.existingSecret": "auth", "auth.bootstrapApiKey.existingSecret": "key"}
INGRESS = {"api.ingress.enabled": True, "api.ingress.host": "octo.example"}
GATEWAY = {"api.gateway.enabled": True, "api.gateway.hostname": "octo.example", "api.gateway.className": "some"}
OIDC = {"auth.oidc.issuer": "https://id.example", "auth.oidc.audience": "octo"}
SCALED = {"api.autoscaling.enabled": True}
MONITORS = {"metrics.serviceMonitor.enabled": True, "metrics.podMonitor.enabled": True}
RULES = {"metrics.rules.enabled": True}
PEER = [{"ipBlock": {"cidr": "10.1.2.3/32"}}]
BINDING = [{"users": ["x"], "scopes": ["jobs:read"]}]
RESOURCES = {"requests": {"cpu": "2", "memory": "3Gi"}, "limits": {"memory": "4Gi"}}
TOLERATIONS = [{"key": "octo", "operator": "Exists"}]
AFFINITY: dict[str, Any] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}


def image(part: str, given: dict[str, Any]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """How the values of a part's image are changed."""
    changes = {
        "registry": "registry.example",
        "repository": "own/name",
        "tag": "1.2.3",
        "digest": DIGEST,
        "pullPolicy": "Always",
    }
    return {f"{part}.image.{name}": (value, given) for name, value in changes.items()}


def pods(part: str, given: dict[str, Any]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """How the values that all pods have are changed."""
    changes = {"resources": RESOURCES, "nodeSelector": {"a": "b"}, "tolerations": TOLERATIONS}
    return {f"{part}.{name}": (value, given) for name, value in changes.items()}


def server(part: str) -> dict[str, tuple[Any, dict[str, Any]]]:
    """How the values that api and controller have alike are changed."""
    changes: dict[str, Any] = {
        "replicas": 3,
        "podDisruptionBudget.enabled": False,
        "podDisruptionBudget.maxUnavailable": "50%",
        "antiAffinity": "Hard",
        "topologySpread.enabled": False,
        "topologySpread.whenUnsatisfiable": "DoNotSchedule",
        "topologySpread.topologyKeys": ["rack"],
        "priorityClassName": "high",
        "serviceAccount.annotations": {"a": "b"},
        "extraEnv": [{"name": "OCTO_MORE", "value": "x"}],
        "podAnnotations": {"a": "b"},
        "podLabels": {"a": "b"},
        "affinity": AFFINITY,
    }
    return {f"{part}.{name}": (value, OWN) for name, value in changes.items()}


# Value: what it is changed to, and what else has to be set for it to matter.
CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "nameOverride": ("other", OWN),
    "fullnameOverride": ("other", OWN),
    "image.registry": ("registry.example", OWN),
    "image.prefix": ("other", OWN),
    "image.tag": ("1.2.3", OWN),
    "image.pullPolicy": ("Always", OWN),
    "image.pullSecrets": (["pull"], OWN),
    "logLevel": ("DEBUG", OWN),
    "database.url": ("postgresql://x@y/z", {}),
    "database.existingSecret": ("other", {**OWN, "database.existingSecret": "db"}),
    "postgres.embedded.enabled": (True, {}),
    **image("postgres.embedded", EMBEDDED),
    **pods("postgres.embedded", EMBEDDED),
    "postgres.embedded.affinity": (AFFINITY, EMBEDDED),
    "postgres.embedded.persistence.enabled": (False, EMBEDDED),
    "postgres.embedded.persistence.size": ("7Gi", EMBEDDED),
    "postgres.embedded.persistence.storageClassName": ("fast", EMBEDDED),
    "postgres.embedded.persistence.whenDeleted": ("Retain", EMBEDDED),
    "auth.existingSecret": ("other", {**OWN, "auth.existingSecret": "auth"}),
    "auth.bindings": (BINDING, OWN),
    "auth.subjectAccessReview": (True, OWN),
    "auth.oidc.issuer": ("https://other.example", {**OWN, **OIDC}),
    "auth.oidc.audience": ("other", {**OWN, **OIDC}),
    "auth.oidc.jwksUrl": ("https://id.example/keys", {**OWN, **OIDC}),
    "auth.oidc.usernameClaim": ("email", {**OWN, **OIDC}),
    "auth.oidc.groupsClaim": ("roles", {**OWN, **OIDC}),
    "auth.oidc.prefix": ("id:", {**OWN, **OIDC}),
    "auth.oidc.ca.configMap": ("id-ca", {**OWN, **OIDC}),
    "auth.oidc.ca.key": ("root.pem", {**OWN, **OIDC, "auth.oidc.ca.configMap": "id-ca"}),
    "auth.bootstrapApiKey.enabled": (False, OWN),
    "auth.bootstrapApiKey.existingSecret": ("other", OWN),
    **image("api", OWN),
    **pods("api", OWN),
    **server("api"),
    "api.console.enabled": (False, OWN),
    "api.console.oidc.enabled": (True, {**OWN, **OIDC}),
    "api.console.oidc.scope": ("openid email", {**OWN, **OIDC, "api.console.oidc.enabled": True}),
    "api.console.oidc.origins": (["https://keys.example"], {**OWN, **OIDC, "api.console.oidc.enabled": True}),
    "api.autoscaling.enabled": (True, OWN),
    "api.autoscaling.minReplicas": (3, {**OWN, **SCALED}),
    "api.autoscaling.maxReplicas": (9, {**OWN, **SCALED}),
    "api.autoscaling.targetCPUUtilizationPercentage": (50, {**OWN, **SCALED}),
    "api.autoscaling.behavior": ({"scaleDown": {"stabilizationWindowSeconds": 60}}, {**OWN, **SCALED}),
    "api.service.type": ("NodePort", OWN),
    "api.service.port": (80, OWN),
    "api.service.annotations": ({"a": "b"}, OWN),
    "api.ingress.enabled": (True, {**OWN, "api.ingress.host": "octo.example"}),
    "api.ingress.host": ("other.example", {**OWN, **INGRESS}),
    "api.ingress.className": ("nginx", {**OWN, **INGRESS}),
    "api.ingress.annotations": ({"a": "b"}, {**OWN, **INGRESS}),
    "api.ingress.tls.enabled": (False, {**OWN, **INGRESS}),
    "api.ingress.tls.secretName": ("own", {**OWN, **INGRESS}),
    "api.ingress.tls.clusterIssuer": ("letters", {**OWN, **INGRESS}),
    "api.ingress.tls.issuer": ("letters", {**OWN, **INGRESS}),
    "api.gateway.enabled": (True, {**OWN, "api.gateway.hostname": "octo.example", "api.gateway.className": "some"}),
    "api.gateway.hostname": ("other.example", {**OWN, **GATEWAY}),
    "api.gateway.parentRefs": ([{"name": "shared", "namespace": "gateways"}], {**OWN, **GATEWAY}),
    "api.gateway.className": ("other", {**OWN, **GATEWAY}),
    "api.gateway.annotations": ({"a": "b"}, {**OWN, **GATEWAY}),
    "api.gateway.tls.secretName": ("own", {**OWN, **GATEWAY}),
    "api.gateway.tls.clusterIssuer": ("letters", {**OWN, **GATEWAY}),
    "api.gateway.tls.issuer": ("letters", {**OWN, **GATEWAY}),
    **image("controller", OWN),
    **pods("controller", OWN),
    **server("controller"),
    "controller.shards": (2, OWN),
    "controller.lease.durationSeconds": (30, OWN),
    "controller.lease.renewSeconds": (8, OWN),
    "controller.lease.retrySeconds": (1, OWN),
    "controller.maxActiveRuns": (7, OWN),
    **image("worker", OWN),
    "worker.serviceAccount.annotations": ({"a": "b"}, OWN),
    "crds.upgrade": (False, OWN),
    "admissionPolicies.enabled": (True, OWN),
    "admissionPolicies.exemptGroups": (["admins"], {**OWN, "admissionPolicies.enabled": True}),
    "admissionPolicies.holdFromCreation": ("Always", OWN),
    **pods("migration", OWN),
    "migration.backoffLimit": (3, OWN),
    "migration.activeDeadlineSeconds": (99, OWN),
    "webhooks.allowedNetworks": (["10.1.0.0/16"], OWN),
    "webhooks.deniedNetworks": (["10.1.0.0/16"], OWN),
    "webhooks.allowHttp": (True, OWN),
    "metrics.serviceMonitor.enabled": (True, OWN),
    "metrics.serviceMonitor.interval": ("5s", {**OWN, **MONITORS}),
    "metrics.serviceMonitor.labels": ({"a": "b"}, {**OWN, **MONITORS}),
    "metrics.podMonitor.enabled": (True, OWN),
    "metrics.podMonitor.interval": ("5s", {**OWN, **MONITORS}),
    "metrics.podMonitor.labels": ({"a": "b"}, {**OWN, **MONITORS}),
    "metrics.rules.enabled": (True, OWN),
    "metrics.rules.labels": ({"a": "b"}, {**OWN, **RULES}),
    "metrics.rules.disabled": (["OctoNoLeader"], {**OWN, **RULES}),
    "metrics.rules.runbook": ("https://wiki.example/octo", {**OWN, **RULES}),
    "metrics.rules.mirrorLagSeconds": (60, {**OWN, **RULES}),
    "metrics.rules.providerStaleSeconds": (600, {**OWN, **RULES}),
    "metrics.rules.failureRatio": (0.5, {**OWN, **RULES}),
    "metrics.dashboard.enabled": (True, OWN),
    "metrics.dashboard.labels": ({"a": "b"}, {**OWN, "metrics.dashboard.enabled": True}),
    "metrics.dashboard.annotations": ({"a": "b"}, {**OWN, "metrics.dashboard.enabled": True}),
    "networkPolicy.enabled": (False, OWN),
    "networkPolicy.dnsPorts": ([5353], OWN),
    "networkPolicy.dnsTo": (PEER, OWN),
    "networkPolicy.apiServerPorts": ([8443], OWN),
    "networkPolicy.apiServerTo": (PEER, OWN),
    "networkPolicy.databasePorts": ([5433], OWN),
    "networkPolicy.databaseTo": (PEER, OWN),
    "networkPolicy.api.ingressFrom": (PEER, OWN),
    "networkPolicy.api.webhookPorts": ([8443], OWN),
    "networkPolicy.controller.ingressFrom": (PEER, OWN),
    "networkPolicy.worker.egressPorts": ([22], OWN),
    "networkPolicy.worker.egressTo": (PEER, OWN),
}
# Helm's own, for charts that have this one in them.
NO_EFFECT = {"global"}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Values by dotted paths, as the tree that Helm reads."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Object]]:
    """What each set of values gives, by its name: all in one call of helm, as parts of a chart made for it."""
    sets: dict[str, dict[str, Any]] = {}
    for index, (value, given) in enumerate(CHANGES.values()):
        sets[f"before-{index}"] = given or OWN
        sets[f"after-{index}"] = {**given, list(CHANGES)[index]: value}
    folder = tmp_path_factory.mktemp("many")
    shutil.copytree(CHART, folder / "charts" / "octo")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    parts = [{"name": "octo", "version": version, "alias": alias} for alias in sets]
    about = {"apiVersion": "v2", "name": "many", "version": "1.0.0", "dependencies": parts}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    given_names = {"nameOverride": "octo"}
    trees = {alias: nested({**given_names, **flat}) for alias, flat in sets.items()}
    (folder / "values.yaml").write_text(yaml.safe_dump(trees))
    output = helm("template", "octo", str(folder), "--namespace", "octo", timeout=900)
    found: dict[str, list[Object]] = {alias: [] for alias in sets}
    for document in re.split(r"^---\n", output, flags=re.MULTILINE):
        if where := re.search(r"# Source: many/charts/([a-z0-9-]+)/", document):
            found[where[1]].append(yaml.load(document, Loader=LOADER))
    return {alias: [stable(obj) for obj in objects if obj] for alias, objects in found.items()}


def stable(node: Any) -> Any:
    """Without what differs from one rendering to the next, or by the name of the part."""
    if isinstance(node, list):
        return [stable(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("kind") == "Secret" and "data" in node:
        node = {**node, "data": sorted(node["data"])}
    return {key: stable(value) for key, value in node.items() if key not in ("octo.dev/secrets", "helm.sh/chart")}


def test_each_value_is_in_the_table_above() -> None:
    known = {value.path for value in values((CHART / "values.yaml").read_text())}
    assert known - NO_EFFECT == set(CHANGES)


@pytest.mark.parametrize("path", list(CHANGES))
def test_a_value_changes_what_is_rendered(path: str, rendered: dict[str, list[Object]]) -> None:
    index = list(CHANGES).index(path)
    before, after = rendered[f"before-{index}"], rendered[f"after-{index}"]
    assert len(before) > 10
    assert len(after) > 10
    assert before != after


def test_what_is_the_same_is_found_to_be_the_same(rendered: dict[str, list[Object]]) -> None:
    first, second = (rendered[f"before-{list(CHANGES).index(path)}"] for path in ("logLevel", "image.tag"))
    assert first == second


def test_the_page_of_values_is_what_the_comments_say() -> None:
    assert (REPO / "docs" / "reference" / "values.md").read_text() == page((CHART / "values.yaml").read_text()), (
        "run `make values`"
    )


def test_a_value_without_a_comment_is_refused() -> None:
    with pytest.raises(UndocumentedError, match=r"a\.c"):
        list(values("a:\n  # Said.\n  b: 1\n\n  c: 2\n"))
    assert [(v.path, v.default, v.comment) for v in values("a:\n  # One\n  # two.\n  b: {c: 1}\n")] == [
        ("a.b", {"c": 1}, "One two.")
    ]
