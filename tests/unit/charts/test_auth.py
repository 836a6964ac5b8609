"""Who may call the api, as the chart's values say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from octo_api.auth.settings import AuthSettings
from octo_api.console.settings import ConsoleSettings
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


OIDC = ("auth.oidc.issuer=https://id.example", "auth.oidc.audience=octo")


def test_oidc_values_are_what_the_api_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _api_environment(
        *OIDC,
        "auth.oidc.jwksUrl=https://keys.example/jwks",
        "auth.oidc.usernameClaim=email",
        "auth.oidc.groupsClaim=roles",
        "auth.oidc.prefix=id:",
        "auth.oidc.ca.configMap=id-ca",
        "api.console.oidc.enabled=true",
        "api.console.oidc.scope=openid email",
        "api.console.oidc.origins={https://keys.example}",
    )
    for name, value in environment.items():
        if "OIDC" in name:
            monkeypatch.setenv(name, value)
    secrets: dict[str, Any] = {
        "database_url": "postgresql://x",
        "api_key_pepper": "p" * 32,
        "token_signing_key": "s" * 32,
    }
    settings = ConsoleSettings(**secrets)
    assert (settings.oidc_issuer, settings.oidc_audience) == ("https://id.example", "octo")
    assert settings.oidc_jwks_url == "https://keys.example/jwks"
    assert (settings.oidc_username_claim, settings.oidc_groups_claim, settings.oidc_prefix) == ("email", "roles", "id:")
    assert (settings.console_oidc_client_id, settings.console_oidc_scope) == ("octo", "openid email")
    assert settings.console_oidc_origins == ("https://keys.example",)
    pod = of_kind(render(*EMBEDDED, *OIDC, "auth.oidc.ca.configMap=id-ca"), "Deployment")["octo-api"]["spec"][
        "template"
    ]
    (mount,) = (one for one in pod["spec"]["containers"][0]["volumeMounts"] if one["name"] == "oidc-ca")
    (volume,) = (one for one in pod["spec"]["volumes"] if one["name"] == "oidc-ca")
    assert settings.oidc_ca_file == f"{mount['mountPath']}/{volume['configMap']['items'][0]['path']}"
    assert volume["configMap"]["name"] == "id-ca"


def test_without_an_issuer_nothing_is_said_of_it() -> None:
    assert not [name for name in _api_environment("auth.oidc.groupsClaim=roles") if "OIDC" in name]


@pytest.mark.parametrize(
    ("issuer", "ports"),
    [
        ("https://id.example", [443]),
        ("https://id.example:8443/realm", [8443]),
        ("https://[2001:db8::1]:8443", [8443]),
        ("http://id.example", [80]),
    ],
)
def test_the_issuer_is_reached_also_where_the_api_server_alone_is_named(issuer: str, ports: list[int]) -> None:
    values = (f"auth.oidc.issuer={issuer}", "auth.oidc.audience=octo")
    policy = of_kind(
        render(*EMBEDDED, *values, "networkPolicy.apiServerTo[0].ipBlock.cidr=10.0.0.1/32"), "NetworkPolicy"
    )["octo-api"]
    assert [port["port"] for port in policy["spec"]["egress"][-1]["ports"]] == ports
    assert "to" not in policy["spec"]["egress"][-1]


@pytest.mark.parametrize(
    "wrong",
    ["auth.oidc.issuer=https://id.example", "auth.bindings[0].scope=x", "api.console.oidc.enabled=true"],
)
def test_half_a_choice_is_refused(wrong: str) -> None:
    with pytest.raises(RenderError):
        render(*EMBEDDED, wrong)
