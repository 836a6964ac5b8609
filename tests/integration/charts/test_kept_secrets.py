"""An upgrade changes no secret that an earlier release has made."""

from __future__ import annotations

import base64
from typing import Any

import yaml

from tests.support.control_plane import ControlPlane
from tests.support.kubectl import ROOT
from tests.unit.charts.rendering import EMBEDDED, helm, of_kind

NAMESPACE = "octo-kept-secrets"


def _upgraded(plane: ControlPlane, **had: str) -> dict[str, str]:
    """The Secret of auth as an upgrade writes it, in a namespace where this one stands."""
    kubectl = plane.kubectl(NAMESPACE)
    data = {name: base64.b64encode(value.encode()).decode() for name, value in had.items()}
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "octo-auth"}, "data": data}
    kubectl("delete", "secret", "octo-auth", "--ignore-not-found")
    kubectl.create(secret)
    sets = [part for value in EMBEDDED for part in ("--set", value)]
    rendered = helm(
        *("template", "octo", str(ROOT / "charts" / "octo"), "--namespace", NAMESPACE, "--is-upgrade", *sets),
        *("--dry-run=server", "--kubeconfig", str(plane.kubeconfig)),
    )
    made = of_kind([found for found in yaml.safe_load_all(rendered) if found], "Secret")["octo-auth"]["data"]
    return {name: base64.b64decode(value).decode() for name, value in made.items()}


def test_an_upgrade_keeps_what_is_there(bare_control_plane: ControlPlane) -> None:
    bare_control_plane.kubectl(NAMESPACE)("create", "namespace", NAMESPACE)
    old = {"apiKeyPepper": "p" * 32, "tokenSigningKey": "s" * 32}
    # From before webhooks had a key of their own: their secrets came of the pepper, and go on to.
    assert _upgraded(bare_control_plane, **old) == {**old, "webhookSigningKey": "p" * 32}
    present = {**old, "webhookSigningKey": "w" * 32}
    assert _upgraded(bare_control_plane, **present) == present
    replacing = {**present, "webhookSigningKeyPrevious": "v" * 32}
    assert _upgraded(bare_control_plane, **replacing) == replacing
