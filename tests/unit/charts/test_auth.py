"""Who may call the api, as the chart's values say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from octo_api.auth.settings import AuthSettings
from tests.unit.charts.rendering import EMBEDDED, RenderError, of_kind, render


def _api_environment(*values: str, args: tuple[str, ...] = ()) -> dict[str, str]:
    deployment = of_kind(render(*EMBEDDED, *values, args=args), "Deployment")["octo-api"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_bindings_and_oidc_become_settings() -> None:
    binding: dict[str, Any] = {"groups": ["oidc:operators"], "scopes": ["jobs:read"], "namespaces": ["octo"]}
    environment = _api_environment(
        "auth.oidc.issuer=https://id.example",
        "auth.oidc.audience=octo",
        args=("--set-json", f"auth.bindings=[{json.dumps(binding)}]"),
    )
    assert (environment["OCTO_OIDC_ISSUER"], environment["OCTO_OIDC_AUDIENCE"]) == ("https://id.example", "octo")
    secrets: dict[str, Any] = {
        "database_url": "postgresql://x",
        "api_key_pepper": "p" * 32,
        "token_signing_key": "s" * 32,
    }
    settings = AuthSettings(**secrets, auth_bindings=json.loads(environment["OCTO_AUTH_BINDINGS"]))
    assert settings.auth_bindings[0].scopes == ("jobs:read",)


def test_the_right_to_ask_of_rights_is_given_only_where_it_is_used() -> None:
    def reviews(*values: str) -> set[str]:
        (role,) = (
            role for name, role in of_kind(render(*EMBEDDED, *values), "ClusterRole").items() if "tokenreviews" in name
        )
        return {resource for rule in role["rules"] for resource in rule["resources"]}

    assert reviews() == {"tokenreviews"}
    assert reviews("auth.subjectAccessReview=true") == {"tokenreviews", "subjectaccessreviews"}
    assert _api_environment("auth.subjectAccessReview=true")["OCTO_SUBJECT_ACCESS_REVIEW"] == "true"
    assert "OCTO_SUBJECT_ACCESS_REVIEW" not in _api_environment()


@pytest.mark.parametrize("wrong", ["auth.oidc.issuer=https://id.example", "auth.bindings[0].scope=x"])
def test_half_a_choice_is_refused(wrong: str) -> None:
    with pytest.raises(RenderError):
        render(*EMBEDDED, wrong)
