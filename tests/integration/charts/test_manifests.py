"""The API server takes each object that the chart can make, and kubeconform finds its fields in the API's schemas."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import foreign_schemas
from tests.support.control_plane import ControlPlane
from tests.support.kubectl import ROOT
from tests.unit.charts.rendering import EMBEDDED, helm

ALL = (
    "controller.shards=2",
    "controller.antiAffinity=Hard",
    "controller.priorityClassName=system-cluster-critical",
    "api.autoscaling.enabled=true",
    "api.ingress.enabled=true",
    "api.ingress.host=octo.example",
    "api.ingress.tls.clusterIssuer=letters",
    "api.service.type=NodePort",
    "auth.subjectAccessReview=true",
    "admissionPolicies.enabled=true",
    "metrics.dashboard.enabled=true",
    "networkPolicy.dnsTo[0].ipBlock.cidr=10.0.0.10/32",
    "networkPolicy.apiServerTo[0].ipBlock.cidr=10.0.0.1/32",
    "networkPolicy.worker.egressPorts={22,443}",
)


@pytest.mark.parametrize("values", [EMBEDDED, (*EMBEDDED, *ALL)], ids=["as it is", "everything"])
def test_the_api_server_takes_every_object(bare_control_plane: ControlPlane, values: tuple[str, ...]) -> None:
    namespace = f"octo-manifests-{len(values)}"
    kubectl = bare_control_plane.kubectl(namespace)
    kubectl("create", "namespace", namespace)
    sets = [part for value in values for part in ("--set", value)]
    rendered = helm("template", "octo", str(ROOT / "charts" / "octo"), "--namespace", namespace, *sets)
    count = sum(1 for found in yaml.safe_load_all(rendered) if found)
    said = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=rendered)
    assert said.count("(server dry run)") == count


EXAMPLES = ROOT / "deploy" / "examples"
# With kinds of others, whose schemas no API server has before they are installed.
MORE = (
    "metrics.serviceMonitor.enabled=true",
    "metrics.podMonitor.enabled=true",
    "metrics.rules.enabled=true",
    "api.gateway.enabled=true",
    "api.gateway.hostname=octo.example",
    "api.gateway.className=some",
)


def strict(node: Any) -> Any:
    """A schema of the API's OpenAPI document as a JSON schema that knows no field but its own."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    fields = node.get("properties")
    made = {key: strict(value) for key, value in node.items() if not key.startswith("x-kubernetes")}
    if isinstance(fields, dict):
        # Those of a CRD's own schema are called x-kubernetes-… too.
        made["properties"] = {name: strict(field) for name, field in fields.items()}
    if node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string") is True:
        return {"type": ["string", "integer", "null"]}
    if isinstance(fields, dict) and "additionalProperties" not in node:
        made["additionalProperties"] = False
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"].replace("#/", "_definitions.json#/")}
    if isinstance(node.get("type"), str):
        made["type"] = [node["type"], "null"]
    return made


@pytest.fixture(scope="module")
def schemas(bare_control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of schemas as kubeconform reads them, from the API server itself, and those of others' kinds."""
    folder = tmp_path_factory.mktemp("schemas")
    document = json.loads(bare_control_plane.kubectl("default")("get", "--raw", "/openapi/v2"))
    made: dict[str, Any] = {}
    for name, definition in document["definitions"].items():
        made[name] = strict(definition)
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            group = f"-{kind['group'].split('.')[0]}" if kind["group"] else ""
            file = folder / f"{kind['kind'].lower()}{group}-{kind['version']}.json"
            file.write_text(json.dumps({"$ref": f"_definitions.json#/definitions/{name}"}))
    (folder / "_definitions.json").write_text(json.dumps({"definitions": made}))
    foreign_schemas.write(folder)
    return folder


def kubeconform(schemas: Path, manifests: str) -> subprocess.CompletedProcess[str]:
    program = ROOT / ".octo" / "bin" / "kubeconform"
    assert program.exists(), "no kubeconform in .octo/bin; run `make tools`, or `deploy/tools.sh kubeconform`"
    location = f"{schemas}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    return subprocess.run(
        [program, "-strict", "-summary", "-schema-location", location, "-"],
        input=manifests,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_kubeconform_knows_every_field(schemas: Path) -> None:
    sets = [part for value in (*EMBEDDED, *ALL, *MORE) for part in ("--set", value)]
    rendered = helm("template", "octo", str(ROOT / "charts" / "octo"), "--namespace", "octo", "--include-crds", *sets)
    done = kubeconform(schemas, rendered)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout
    kinds = {(found["apiVersion"], found["kind"]) for found in yaml.safe_load_all(rendered) if found}
    assert len(kinds & set(foreign_schemas.SCHEMAS)) == 5


@pytest.mark.parametrize("name", ["external-secrets.yaml", "cloudnative-pg.yaml"])
def test_kubeconform_knows_every_field_of_the_examples(schemas: Path, name: str) -> None:
    done = kubeconform(schemas, (EXAMPLES / name).read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


WRONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a field that there is not": ("monitoring.coreos.com/v1", "ServiceMonitor", {"selector": {}, "endpoint": []}),
    "nothing to scrape": ("monitoring.coreos.com/v1", "ServiceMonitor", {"selector": {}}),
    "no duration": (
        "monitoring.coreos.com/v1",
        "PodMonitor",
        {"selector": {}, "podMetricsEndpoints": [{"interval": "x"}]},
    ),
    "a rule without an expression": (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        {"groups": [{"name": "a", "rules": [{"alert": "A"}]}]},
    ),
    "a gateway without listeners": (
        "gateway.networking.k8s.io/v1",
        "Gateway",
        {"gatewayClassName": "x", "listeners": []},
    ),
    "a path that is none": (
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        {"rules": [{"matches": [{"path": {"type": "Prefix", "value": "/"}}]}]},
    ),
    "another store": ("external-secrets.io/v1", "ExternalSecret", {"secretStoreRef": {"kind": "Vault", "name": "x"}}),
    "a number among words": (
        "postgresql.cnpg.io/v1",
        "Cluster",
        {"instances": 1, "postgresql": {"parameters": {"max_connections": 200}}},
    ),
    "five words": ("postgresql.cnpg.io/v1", "ScheduledBackup", {"schedule": "0 2 * * *", "cluster": {"name": "x"}}),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_kubeconform_refuses_what_is_wrong_in_a_kind_of_others(schemas: Path, what: str) -> None:
    api_version, kind, spec = WRONG[what]
    manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    done = kubeconform(schemas, json.dumps(manifest))
    assert done.returncode == 1, done.stdout
    assert "Invalid: 1" in done.stdout


def test_kubeconform_refuses_a_field_that_there_is_not(schemas: Path) -> None:
    done = kubeconform(schemas, json.dumps({"apiVersion": "v1", "kind": "Service", "spec": {"selektor": {}}}))
    assert done.returncode == 1
    assert "selektor" in done.stdout
