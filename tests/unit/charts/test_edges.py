"""Which pod may talk to which, port by port: what the chart's NetworkPolicies come to is what the docs say, exactly."""

from __future__ import annotations

import copy
import itertools
import json

import pytest

from octo_core.domain import names
from tests.support.network_policies import Pod, Port, may_connect
from tests.unit.charts.rendering import EMBEDDED, EXTERNAL, REPO, Object, of_kind, render

HEAD = "| From | To | Ports |"
PORTS = [
    Port(22),
    Port(53),
    Port(53, "UDP"),
    Port(443),
    Port(5432),
    Port(6443),
    Port(8080),
    Port(8081),
    # Stand for all that nobody names.
    Port(9),
    Port(9, "UDP"),
]
RUN = Pod("a run", {names.LABEL_JOB: "x"}, address="10.0.0.2")
OTHER = Pod("other pods", {"app": "x"}, address="10.0.0.3")
ELSEWHERE = Pod("other namespaces", {"app": "x"}, namespace="elsewhere", address="10.0.0.4")
OUTSIDE = Pod("outside", namespace=None, address="192.0.2.1")
Row = tuple[str, str, str]


def ours(objects: list[Object]) -> list[Pod]:
    """The pods that the chart itself makes, by component."""
    found: dict[str, Pod] = {}
    for one in objects:
        template = one if one["kind"] == "Pod" else one.get("spec", {}).get("template")
        if template:
            labels = template["metadata"]["labels"]
            found.setdefault(labels["app.kubernetes.io/component"], Pod(labels["app.kubernetes.io/component"], labels))
    return [found[name] for name in sorted(found)]


def edges(objects: list[Object], *others: Pod) -> list[Row]:
    """From, to and ports of all that can be; what is the same for several targets stands together."""
    policies = list(of_kind(objects, "NetworkPolicy").values())
    pods = [*ours(objects), RUN, *(others or (OTHER, ELSEWHERE, OUTSIDE))]
    strangers = {pod.name for pod in (others or (OTHER, ELSEWHERE, OUTSIDE))}
    rows: list[Row] = []
    for source in pods:
        targets: dict[str, list[str]] = {}
        for target in pods:
            # What others do among themselves is not looked at.
            if source is not target and not {source.name, target.name} <= strangers:
                allowed = [str(port) for port in PORTS if may_connect(policies, source, target, port)]
                if allowed:
                    said = "all" if len(allowed) == len(PORTS) else ", ".join(allowed)
                    targets.setdefault(said, []).append(target.name)
        rows += [(source.name, ", ".join(found), said) for said, found in targets.items()]
    return rows


def told() -> list[Row]:
    lines = (REPO / "docs" / "security.md").read_text().partition(HEAD)[2].splitlines()[2:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [(row[0], row[1], row[2]) for row in itertools.takewhile(lambda row: len(row) == 3, rows)]


def lines(rows: list[Row]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_docs_have_all_that_can_be_and_nothing_else() -> None:
    found = edges(render(*EMBEDDED))
    assert told() == found, f"in docs/security.md:\n{lines(found)}"


def test_with_peers_for_all_there_is_no_more_than_they_allow() -> None:
    """As in production: everything that can be narrowed is."""
    server, store, database = (
        Pod("apiserver", namespace=None, address="198.51.100.1"),
        Pod("store", namespace=None, address="198.51.100.2"),
        Pod("database", namespace=None, address="198.51.100.3"),
    )
    dns = Pod("dns", {"k8s-app": "kube-dns"}, "kube-system", {"kubernetes.io/metadata.name": "kube-system"})
    prometheus = Pod("prometheus", {"app": "prometheus"}, "monitoring", {"kubernetes.io/metadata.name": "monitoring"})
    policy = {
        "dnsTo": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "apiServerTo": [{"ipBlock": {"cidr": "198.51.100.1/32"}}],
        "databaseTo": [{"ipBlock": {"cidr": "198.51.100.3/32"}}],
        "api": {"ingressFrom": [{"podSelector": {"matchLabels": {"app": "x"}}}]},
        "controller": {
            "ingressFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
        },
        "worker": {"egressPorts": [22, 443], "egressTo": [{"ipBlock": {"cidr": "198.51.100.2/32"}}]},
    }
    objects = render(*EXTERNAL, args=("--set-json", f"networkPolicy={json.dumps(policy)}"))
    others = (OTHER, ELSEWHERE, OUTSIDE, server, store, database, dns, prometheus)
    assert edges(objects, *others) == [
        ("api", "apiserver", "443, 6443"),
        ("api", "database", "5432"),
        ("api", "dns", "53, 53/UDP"),
        ("controller", "apiserver", "443, 6443"),
        ("controller", "database", "5432"),
        ("controller", "dns", "53, 53/UDP"),
        ("crds", "apiserver", "443, 6443"),
        ("crds", "dns", "53, 53/UDP"),
        ("migrate", "database", "5432"),
        ("migrate", "dns", "53, 53/UDP"),
        ("test", "api", "8080"),
        ("test", "dns", "53, 53/UDP"),
        ("a run", "api", "8080"),
        ("a run", "store", "22, 443"),
        ("a run", "dns", "53, 53/UDP"),
        ("other pods", "api", "8080"),
        ("prometheus", "controller", "8081"),
    ]


@pytest.mark.parametrize("index", range(7))
def test_without_one_policy_it_is_another_table(index: int) -> None:
    objects = render(*EMBEDDED)
    policies = [one for one in objects if one["kind"] == "NetworkPolicy"]
    # The default-deny is for pods that no other policy is about.
    named = [one for one in policies if one["metadata"]["name"] != "octo-default-deny"]
    assert len(named) == 7
    assert edges([one for one in objects if one is not named[index]]) != edges(objects)


def test_a_pod_that_no_policy_names_is_cut_off() -> None:
    objects = render(*EMBEDDED)
    (api,) = [pod for pod in ours(objects) if pod.name == "api"]
    new = Pod("new", {**api.labels, "app.kubernetes.io/component": "new"})
    policies = list(of_kind(objects, "NetworkPolicy").values())
    for port in PORTS:
        assert not may_connect(policies, new, OUTSIDE, port)
        assert not may_connect(policies, OUTSIDE, new, port)


def test_another_port_is_another_table() -> None:
    objects = render(*EMBEDDED)
    wider = copy.deepcopy(objects)
    of_kind(wider, "NetworkPolicy")["octo-controller"]["spec"]["ingress"][0]["ports"].append(
        {"protocol": "TCP", "port": 22}
    )
    assert edges(wider) != edges(objects)
