"""When the chart has the API server hold OctoJobs from their creation on."""

from __future__ import annotations

import pytest

from tests.unit.charts.rendering import EMBEDDED, render

GROUP = "admissionregistration.k8s.io"


@pytest.mark.parametrize(
    ("wish", "served", "version"),
    [
        ("IfAvailable", (), None),
        ("IfAvailable", ("v1alpha1",), "v1alpha1"),
        ("IfAvailable", ("v1alpha1", "v1beta1"), "v1beta1"),
        ("IfAvailable", ("v1beta1", "v1"), "v1"),
        ("Always", (), "v1beta1"),
        ("Always", ("v1",), "v1"),
        ("Never", ("v1beta1", "v1"), None),
    ],
)
def test_the_policy_comes_in_the_newest_version_that_is_served(
    wish: str, served: tuple[str, ...], version: str | None
) -> None:
    kinds = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
    args = [part for each in served for part in ("--api-versions", f"{GROUP}/{each}/{kinds[0]}")]
    objects = render(*EMBEDDED, f"admissionPolicies.holdFromCreation={wish}", args=tuple(args))
    found = {raw["kind"]: raw["apiVersion"] for raw in objects if raw["kind"] in kinds}
    assert found == ({} if version is None else dict.fromkeys(kinds, f"{GROUP}/{version}"))
