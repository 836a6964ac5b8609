"""A client for the cluster that a kubeconfig names."""

from __future__ import annotations

import os
from pathlib import Path

import httpx2
from lightkube import Client, KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from octo_cli.errors import CliError
from octo_cli.exits import Exit

_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)


def connect(kubeconfig: Path | None, context: str | None) -> tuple[Client, str]:
    """The client, and the namespace of the context."""
    try:
        config = _config(kubeconfig, context)
        return Client(config=config, timeout=_TIMEOUT), config.namespace
    except (ConfigError, OSError, KeyError, ValueError, AssertionError) as error:
        raise CliError(
            f"no usable kubeconfig: {error}",
            Exit.USAGE,
            "Name one with --kubeconfig, and a context of it with --context.",
        ) from error


def _config(kubeconfig: Path | None, context: str | None) -> SingleConfig:
    """As kubectl finds it: the file that is named, else KUBECONFIG's, else the usual one, else the pod's own."""
    files = [kubeconfig] if kubeconfig else [Path(name) for name in _named() if Path(name).is_file()]
    for file in files:
        config = KubeConfig.from_file(file)
        # Of several files the first that has the context, or that says which is the current one.
        if len(files) == 1 or (context or config.current_context) in config.contexts:
            found = config.get(context)
            if found is not None:
                return found
    if not files and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        own = KubeConfig.from_service_account().get()
        if own is not None:
            return own
    raise ConfigError(f"there is no context {context}" if context else "there is none")


def _named() -> list[str]:
    named = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return named or [str(Path("~/.kube/config").expanduser())]
