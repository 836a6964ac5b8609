"""What the API server itself says of the accounts' rights is what the docs say."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.control_plane import ControlPlane
from tests.support.kubectl import ROOT, Kubectl
from tests.unit.charts.rendering import EMBEDDED, helm

KINDS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
ACCOUNTS = ("octo-api", "octo-controller", "octo-crds", "octo-worker")
GROUP = "system:authenticated"
Line = tuple[str, tuple[str, ...], frozenset[str]]


@pytest.fixture(scope="module")
def kubectl(bare_control_plane: ControlPlane) -> Kubectl:
    kubectl = bare_control_plane.kubectl("octo-rights")
    kubectl("create", "namespace", kubectl.namespace)
    sets = [part for value in (*EMBEDDED, "auth.subjectAccessReview=true") for part in ("--set", value)]
    rendered = helm("template", "octo", str(ROOT / "charts" / "octo"), "--namespace", kubectl.namespace, *sets)
    kubectl.apply(*(found for found in yaml.safe_load_all(rendered) if found and found["kind"] in KINDS))
    return kubectl


def listed(kubectl: Kubectl, account: str) -> set[Line]:
    """Resource, names and verbs of each line about resources."""
    subject = f"system:serviceaccount:{kubectl.namespace}:{account}"
    said = kubectl("auth", "can-i", "--list", "--no-headers", "--as", subject, f"--as-group={GROUP}")
    lines = (re.fullmatch(r"(\S*)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]", line.strip()) for line in said.splitlines())
    # kubectl has a line for each name.
    found: dict[tuple[str, bool, str], list[str]] = {}
    for match in lines:
        if match and match[1]:
            found.setdefault((match[1], bool(match[3]), match[4]), []).extend(match[3].split())
    return {
        (resource, tuple(sorted(names, key=lambda name: (len(name), name))), frozenset(verbs.split()))
        for (resource, _, verbs), names in found.items()
    }


def told(account: str) -> set[Line]:
    """The same of the page in the docs."""
    text = (ROOT / "docs" / "reference" / "rights.md").read_text()
    found = set()
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == account:
            found.add((cells[1], tuple(re.split(r", | to ", cells[3])) if cells[3] else (), cells[2]))
    return {(resource, names, frozenset(verbs.split(", "))) for resource, names, verbs in found}


def short(names: tuple[str, ...]) -> tuple[str, ...]:
    """As the page shortens them; the namespace of this test has another name."""
    names = tuple("octo" if name == "octo-rights" else name for name in names)
    return names if len(names) < 4 else (names[0], names[-1])


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_api_server_says_what_the_docs_say(kubectl: Kubectl, account: str) -> None:
    # What anybody has who is known to the API server: to ask about themselves.
    anybody = listed(kubectl, "nobody")
    assert anybody
    said = {(resource, short(names), verbs) for resource, names, verbs in listed(kubectl, account) - anybody}
    assert said == told(account)
