"""How kopf gets to the API server: the same way as the rest of the process."""

from __future__ import annotations

import os
from typing import Any

import kopf
import yaml

DEFAULT_KUBECONFIG = "~/.kube/config"


def register_login(registry: kopf.OperatorRegistry, kubeconfig: str | None) -> None:
    """Log in by ``kubeconfig``, else by the pod's ServiceAccount, else by the user's default kubeconfig.

    Read anew at each login, since tokens are rotated.
    """

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def login(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo | None:
        if kubeconfig is None:
            inside = kopf.login_with_service_account(settings=settings)
            if inside is not None:
                return inside
        path = kubeconfig or os.environ.get("KUBECONFIG", DEFAULT_KUBECONFIG)
        return read_kubeconfig(path)


def read_kubeconfig(path: str) -> kopf.ConnectionInfo:
    """The current context of a kubeconfig. Credential plugins (``exec``) are not run."""
    folder = os.path.dirname(os.path.abspath(os.path.expanduser(path)))
    with open(os.path.expanduser(path), encoding="utf-8") as file:
        config = yaml.safe_load(file)

    def entry(section: str, kind: str, name: str) -> dict[str, Any]:
        return next((item[kind] or {} for item in config.get(section) or () if item["name"] == name), {})

    def located(value: str | None) -> str | None:
        return os.path.join(folder, value) if value else None

    context = entry("contexts", "context", config["current-context"])
    cluster = entry("clusters", "cluster", context["cluster"])
    user = entry("users", "user", context["user"])
    token = user.get("token")
    if token is None and "tokenFile" in user:
        with open(os.path.join(folder, user["tokenFile"]), encoding="utf-8") as file:
            token = file.read().strip()
    return kopf.ConnectionInfo(
        server=cluster["server"],
        ca_path=located(cluster.get("certificate-authority")),
        ca_data=cluster.get("certificate-authority-data"),
        insecure=cluster.get("insecure-skip-tls-verify"),
        certificate_path=located(user.get("client-certificate")),
        certificate_data=user.get("client-certificate-data"),
        private_key_path=located(user.get("client-key")),
        private_key_data=user.get("client-key-data"),
        token=token,
        proxy_url=cluster.get("proxy-url"),
    )
