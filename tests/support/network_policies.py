"""What NetworkPolicies come to: which pod may open a connection to which, as a cluster's network would decide it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Literal

Raw = dict[str, Any]
Direction = Literal["Ingress", "Egress"]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, or an address outside of the cluster, which has no labels and is in no namespace."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str | None = "octo"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.0.0.1"


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """Where a connection goes."""

    number: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return str(self.number) if self.protocol == "TCP" else f"{self.number}/{self.protocol}"


def may_connect(policies: Iterable[Raw], source: Pod, target: Pod, port: Port) -> bool:
    """Whether both sides let it pass: each does where no policy is about it, or where one has a rule for it."""
    known = list(policies)
    return _lets(known, source, target, port, "Egress") and _lets(known, target, source, port, "Ingress")


def _lets(policies: list[Raw], pod: Pod, peer: Pod, port: Port, direction: Direction) -> bool:
    about = [policy for policy in policies if _selects(policy, pod) and direction in _types(policy["spec"])]
    key, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    rules = [rule for policy in about for rule in policy["spec"].get(key) or ()]
    return not about or any(
        (not rule.get("ports") or any(_is_port(one, port) for one in rule["ports"]))
        and (not rule.get(peers) or any(_is_peer(one, peer, pod.namespace) for one in rule[peers]))
        for rule in rules
    )


def _types(spec: Raw) -> list[str]:
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]


def _selects(policy: Raw, pod: Pod) -> bool:
    return policy["metadata"].get("namespace", "octo") == pod.namespace and fits(
        policy["spec"]["podSelector"], pod.labels
    )


def _is_port(said: Raw, port: Port) -> bool:
    if said.get("protocol", "TCP") != port.protocol:
        return False
    first = said.get("port")
    assert first is None or isinstance(first, int), "ports by name are not known here"
    return first is None or first <= port.number <= said.get("endPort", first)


def _is_peer(said: Raw, peer: Pod, namespace: str | None) -> bool:
    if "ipBlock" in said:
        address, block = ip_address(peer.address), said["ipBlock"]
        inside = address in ip_network(block["cidr"])
        return inside and not any(address in ip_network(one) for one in block.get("except", ()))
    if peer.namespace is None:
        return False
    if "namespaceSelector" in said:
        if not fits(said["namespaceSelector"], peer.namespace_labels):
            return False
    elif peer.namespace != namespace:
        return False
    return "podSelector" not in said or fits(said["podSelector"], peer.labels)


def fits(selector: Raw, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects what has these labels; an empty one selects all."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(one, labels) for one in selector.get("matchExpressions") or ())


def _meets(said: Raw, labels: Mapping[str, str]) -> bool:
    value = labels.get(said["key"])
    match said["operator"]:
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "In":
            return value in said["values"]
        case "NotIn":
            return value not in said["values"]
    raise AssertionError(f"no such operator: {said['operator']}")
