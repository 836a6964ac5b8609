"""The API server takes each object that the chart can make, and knows all of its fields."""

from __future__ import annotations

import pytest
import yaml

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
