"""Where webhooks may lead is the chart's to say, and the api's to understand."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from octo_api.webhooks.settings import WebhookSettings
from tests.unit.charts.rendering import EMBEDDED, RenderError, containers, of_kind, render


def test_exceptions_reach_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = render(
        *EMBEDDED,
        "webhooks.allowedNetworks={10.1.0.0/16,fd00::/8}",
        "webhooks.deniedNetworks={203.0.113.0/24}",
        "webhooks.allowHttp=true",
        "networkPolicy.api.webhookPorts={8443}",
    )
    (api,) = containers(of_kind(objects, "Deployment")["octo-api"]["spec"]["template"]["spec"])
    for entry in api["env"]:
        if entry["name"].startswith("OCTO_WEBHOOK_"):
            monkeypatch.setenv(entry["name"], entry["value"])
    settings = WebhookSettings()
    assert settings.webhook_allowed_networks == (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert settings.webhook_denied_networks == (ip_network("203.0.113.0/24"),)
    assert settings.webhook_allow_http
    egress = of_kind(objects, "NetworkPolicy")["octo-api"]["spec"]["egress"]
    assert [port["port"] for port in egress[-1]["ports"]] == [8443]
    with pytest.raises(RenderError):
        render(*EMBEDDED, "webhooks.allowedNetworks={everything}")
