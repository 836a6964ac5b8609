"""What many users, many nodes and a cluster with rules of its own need of the chart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from octo_core.crd.definitions import octojobs, octoproviders
from tests.unit.charts.rendering import EXTERNAL, Object, RenderError, of_kind, pods, render
from tests.unit.charts.restricted import violations

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def everything() -> list[Object]:
    """All that can be switched on."""
    return render(
        *EXTERNAL,
        "controller.shards=2",
        "controller.antiAffinity=Hard",
        "api.autoscaling.enabled=true",
        "api.ingress.enabled=true",
        "api.ingress.host=octo.example",
        "api.ingress.tls.clusterIssuer=letters",
        "api.gateway.enabled=true",
        "api.gateway.hostname=octo.example",
        "api.gateway.className=some",
        "api.gateway.tls.issuer=own",
        "metrics.serviceMonitor.enabled=true",
        "metrics.podMonitor.enabled=true",
        "networkPolicy.apiServerTo[0].ipBlock.cidr=10.0.0.1/32",
        "networkPolicy.api.ingressFrom[0].namespaceSelector.matchLabels.name=edge",
        f"api.image.digest={DIGEST}",
        f"worker.image.digest={DIGEST}",
        "worker.image.registry=registry.example",
    )


def template_labels(objects: list[Object], name: str) -> dict[str, str]:
    labels: dict[str, str] = of_kind(objects, "Deployment")[name]["spec"]["template"]["metadata"]["labels"]
    return labels


# ---- more than one pod -------------------------------------------------------------------------------


def test_each_deployment_has_a_budget_of_its_own(everything: list[Object]) -> None:
    budgets = of_kind(everything, "PodDisruptionBudget")
    assert set(budgets) == set(of_kind(everything, "Deployment"))
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        chosen = [other for other in budgets if wanted <= template_labels(everything, other).items()]
        assert chosen == [name]


def test_pods_keep_away_from_their_own_kind(everything: list[Object]) -> None:
    for name, deployment in of_kind(everything, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        apart = pod["affinity"]["podAntiAffinity"]
        if name == "octo-api":
            term = apart["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
        else:
            (term,) = apart["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["matchLabelKeys"] == ["pod-template-hash"], (
            "a rollout with as many pods as nodes would wait for ever"
        )
        for constraint in pod["topologySpreadConstraints"]:
            assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
        for selector in (term["labelSelector"], pod["topologySpreadConstraints"][0]["labelSelector"]):
            assert selector == deployment["spec"]["selector"]


def test_ones_own_anti_affinity_is_left_alone() -> None:
    path = "api.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    objects = render(*EXTERNAL, f"{path}[0].topologyKey=rack", "controller.antiAffinity=None")
    found = dict(pods(objects))
    assert found["Deployment/octo-api"]["affinity"]["podAntiAffinity"] == {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]
    }
    assert "affinity" not in found["Deployment/octo-controller"]


def test_the_autoscaler_alone_says_how_many(everything: list[Object]) -> None:
    scaler = of_kind(everything, "HorizontalPodAutoscaler")["octo-api"]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "octo-api"}
    deployment = of_kind(everything, "Deployment")["octo-api"]["spec"]
    assert "replicas" not in deployment
    assert "cpu" in deployment["template"]["spec"]["containers"][0]["resources"]["requests"]


# ---- the way in ----------------------------------------------------------------------------------------


def test_the_ingress_has_a_certificate(everything: list[Object]) -> None:
    ingress = of_kind(everything, "Ingress")["octo-api"]
    assert ingress["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letters"}
    assert ingress["spec"]["tls"] == [{"hosts": ["octo.example"], "secretName": "octo-api-tls"}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "octo-api", "port": {"number": 8080}}}


def test_the_gateway_has_a_certificate_and_lets_streams_go_on(everything: list[Object]) -> None:
    gateway, route = of_kind(everything, "Gateway")["octo-api"], of_kind(everything, "HTTPRoute")["octo-api"]
    assert gateway["metadata"]["annotations"] == {"cert-manager.io/issuer": "own"}
    (listener,) = gateway["spec"]["listeners"]
    assert listener["tls"]["certificateRefs"] == [{"group": "", "kind": "Secret", "name": "octo-api-tls"}]
    assert route["spec"]["parentRefs"][0]["sectionName"] == listener["name"]
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "0s"}
    assert route["spec"]["rules"][0]["backendRefs"][0]["port"] == 8080


def test_a_shared_gateway_is_used_as_it_is() -> None:
    objects = render(
        *EXTERNAL, "api.gateway.enabled=true", "api.gateway.hostname=x.example", "api.gateway.parentRefs[0].name=shared"
    )
    assert not of_kind(objects, "Gateway")
    assert of_kind(objects, "HTTPRoute")["octo-api"]["spec"]["parentRefs"] == [{"name": "shared"}]


@pytest.mark.parametrize(
    "values",
    [
        ("api.ingress.enabled=true",),
        ("api.gateway.enabled=true", "api.gateway.hostname=x.example"),
        ("api.gateway.enabled=true", "api.gateway.className=some"),
        ("api.ingress.tls.issuer=a", "api.ingress.tls.clusterIssuer=b"),
        ("api.autoscaling.enabled=true", "api.autoscaling.minReplicas=9"),
        ("api.image.digest=latest",),
        ("controller.podDisruptionBudget.maxUnavailable=half",),
    ],
)
def test_half_a_choice_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(RenderError):
        render(*EXTERNAL, *values)


# ---- images and metrics ----------------------------------------------------------------------------------


def test_digests_pin_images(everything: list[Object]) -> None:
    found = dict(pods(everything))
    assert found["Deployment/octo-api"]["containers"][0]["image"] == f"octo/api@{DIGEST}"
    assert found["Job/octo-crds"]["containers"][0]["image"] == f"octo/api@{DIGEST}"
    env = {v["name"]: v.get("value") for v in found["Deployment/octo-controller-0"]["containers"][0]["env"]}
    assert env["OCTO_WORKER_IMAGE"] == f"registry.example/octo/worker@{DIGEST}"


def test_monitors_find_their_ports(everything: list[Object]) -> None:
    monitor = of_kind(everything, "ServiceMonitor")["octo-api"]["spec"]
    service = of_kind(everything, "Service")["octo-api"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    monitor = of_kind(everything, "PodMonitor")["octo-controller"]["spec"]
    for shard in ("octo-controller-0", "octo-controller-1"):
        assert monitor["selector"]["matchLabels"].items() <= template_labels(everything, shard).items()
        (container,) = dict(pods(everything))[f"Deployment/{shard}"]["containers"]
        assert monitor["podMetricsEndpoints"][0]["port"] in {port["name"] for port in container["ports"]}


# ---- hooks -------------------------------------------------------------------------------------------------


def test_the_definitions_are_brought_to_this_version_before_all_else(everything: list[Object]) -> None:
    hooks = {
        f"{found['kind']}/{found['metadata']['name']}": found["metadata"]["annotations"]
        for found in everything
        if "helm.sh/hook" in (found["metadata"].get("annotations") or {})
    }
    weight: Callable[[str], int] = lambda name: int(hooks[name]["helm.sh/hook-weight"])  # noqa: E731
    ours = ("ServiceAccount/octo-crds", "ClusterRole/octo-octo-crds", "ClusterRoleBinding/octo-octo-crds")
    for name in (*ours, "NetworkPolicy/octo-crds"):
        assert weight(name) < weight("Job/octo-crds") < weight("Secret/octo-migrate-database")
        assert "hook-failed" in hooks[name]["helm.sh/hook-delete-policy"], "rights do not outlive their use"
    (rule,) = of_kind(everything, "ClusterRole")["octo-octo-crds"]["rules"]
    assert rule == {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "resourceNames": [octojobs()["metadata"]["name"], octoproviders()["metadata"]["name"]],
        "verbs": ["get", "patch"],
    }


def test_the_pod_of_helm_test_is_restricted_and_may_reach_the_api_alone(everything: list[Object]) -> None:
    pod = of_kind(everything, "Pod")["octo-test"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert not violations(pod["spec"])
    compile(pod["spec"]["containers"][0]["command"][2], "test", "exec")
    policies = of_kind(everything, "NetworkPolicy")
    assert pod["metadata"]["labels"].items() >= policies["octo-test"]["spec"]["podSelector"]["matchLabels"].items()
    _, to_api = policies["octo-test"]["spec"]["egress"]
    assert to_api["to"][0]["podSelector"] == policies["octo-api"]["spec"]["podSelector"]
    (inward,) = policies["octo-api"]["spec"]["ingress"]
    assert policies["octo-test"]["spec"]["podSelector"] in [peer.get("podSelector") for peer in inward["from"]]


# ---- network -----------------------------------------------------------------------------------------------


def edges(policy: Object) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = policy["spec"].get("egress", [])
    return rules


def test_nothing_but_runs_may_go_anywhere(everything: list[Object]) -> None:
    for name, policy in of_kind(everything, "NetworkPolicy").items():
        if name != "octo-worker":
            assert {} not in edges(policy), name
            assert all(rule["ports"] for rule in edges(policy)), name


def test_who_reaches_the_api_server(everything: list[Object]) -> None:
    to = [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    policies = of_kind(everything, "NetworkPolicy")
    reaching = {name for name, policy in policies.items() if to in [rule.get("to") for rule in edges(policy)]}
    assert reaching == {"octo-api", "octo-controller", "octo-crds"}
