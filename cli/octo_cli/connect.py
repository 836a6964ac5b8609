"""Which backend an invocation means, and who it is there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from octo_cli.errors import CliError
from octo_cli.exits import Exit

if TYPE_CHECKING:
    from octo_cli.backend import Backend
    from octo_cli.config import Context
    from octo_cli.settings import Settings

# httpx brings a command line of its own, a quarter of the cost of a start. Said to be missing, it is left out.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None is how Python marks it


@contextmanager
def opened(settings: Settings) -> Iterator[Backend]:
    """The backend for a block of work; what it raises there is told to the person. Raises CliError."""
    backend = _backend(settings)
    try:
        yield backend
    except CliError:
        raise
    except Exception as error:
        told = backend.error_of(error)
        if told is None:
            raise
        raise told from error
    finally:
        backend.close()


def _backend(settings: Settings) -> Backend:
    # Imported here: each way costs a third of a second, and a command goes only one.
    if settings.plugin or settings.kubeconfig is not None:
        from octo_cli.kube.backend import KubeBackend
        from octo_cli.kube.connect import connect

        client, namespace = connect(settings.kubeconfig, settings.context)
        return KubeBackend(client, namespace=settings.namespace or namespace)
    return _rest(settings)


def _rest(settings: Settings) -> Backend:
    from octo_cli import config
    from octo_cli.rest import RestBackend, error_of
    from octo_cli.session import ByKey, ByToken, read_key

    if settings.server is not None:
        key = read_key(settings.api_key_file) if settings.api_key_file else None
        return RestBackend(ByKey(settings.server, key), url=settings.server, namespace=settings.namespace)
    known = config.load()
    name = settings.context or known.current
    if name is None:
        raise CliError(
            "not signed in to a server",
            Exit.REFUSED,
            "Sign in with `octo login URL`, or use the cluster's API with --kubeconfig FILE or `kubectl octo`.",
        )
    context = known.get(name)
    try:
        session = ByToken(context)
    except Exception as error:
        raise error_of(error, context.server) or error from error
    return RestBackend(session, url=context.server, namespace=settings.namespace or context.namespace)


def signed_in(context: Context, api_key: str) -> Context:
    """The context with a token for the key, kept from now on. Raises CliError."""
    from octo_cli.rest import error_of
    from octo_cli.session import sign_in
    from octo_client import OctoError

    try:
        return sign_in(context, api_key)
    except OctoError as error:
        told = error_of(error, context.server)
        if told is not None and told.code is Exit.REFUSED:
            told.hint = "Is it the whole API key, and not revoked or expired?"
        raise told or error from error
