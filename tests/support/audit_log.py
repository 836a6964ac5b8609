"""What a kube-apiserver writes down of who asked for what, and whether they were allowed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from deploy.chart.rights import resource_name

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request about objects."""

    user: str
    verb: str
    group: str
    resource: str
    """With its subresource."""
    namespace: str
    name: str
    allowed: bool

    @property
    def right(self) -> tuple[str, str]:
        """Resource and verb, as ``deploy.chart.rights`` writes them."""
        return resource_name(self.group, self.resource), self.verb

    def attributes(self) -> Raw:
        """The same, as a review of access asks of it."""
        plural, _, sub = self.resource.partition("/")
        return {
            "verb": self.verb,
            "group": self.group,
            "resource": plural,
            "subresource": sub,
            "namespace": self.namespace,
            "name": self.name,
        }


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The log, which an API server writes that was given ``arguments``."""

    folder: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        """For kube-apiserver."""
        policy = self.folder / "audit-policy.yaml"
        rule = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
        policy.write_text(yaml.safe_dump({**rule, "rules": [{"level": "Metadata"}]}))
        return ("--audit-policy-file", str(policy), "--audit-log-path", str(self._file))

    @property
    def _file(self) -> Path:
        return self.folder / "audit.jsonl"

    def requests(self) -> list[Request]:
        """All so far."""
        # The last line may be half written.
        whole = self._file.read_text().rpartition("\n")[0].splitlines()
        return [request for line in whole if (request := _request(json.loads(line))) is not None]


def _request(event: Raw) -> Request | None:
    about = event.get("objectRef")
    decision = event.get("annotations", {}).get("authorization.k8s.io/decision")
    if not about or "resource" not in about or decision is None:
        return None
    sub = f"/{about['subresource']}" if "subresource" in about else ""
    return Request(
        user=event["user"]["username"],
        verb=event["verb"],
        group=about.get("apiGroup", ""),
        resource=about["resource"] + sub,
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        allowed=decision == "allow",
    )
