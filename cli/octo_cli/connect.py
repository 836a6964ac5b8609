"""Which backend an invocation means, and who it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from octo_cli.errors import CliError
from octo_cli.exits import Exit

if TYPE_CHECKING:
    from octo_cli.backend import Backend
    from octo_cli.config import Context
    from octo_cli.settings import Settings


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
    from octo_cli.rest import RestBackend
    from octo_client import Client

    if settings.server is not None:
        key = read_key(settings.api_key_file) if settings.api_key_file else None
        client = Client(settings.server, api_key=key)
        return RestBackend(client, url=settings.server, namespace=settings.namespace)
    known = config.load()
    name = settings.context or known.current
    if name is None:
        raise CliError(
            "not signed in to a server",
            Exit.REFUSED,
            "Sign in with `octo login URL`, or use the cluster's API with --kubeconfig FILE or `kubectl octo`.",
        )
    context = known.get(name)
    token = _token(context)
    client = Client(context.server, token=token)
    return RestBackend(client, url=context.server, namespace=settings.namespace or context.namespace)


def _token(context: Context) -> str:
    """The token of a context; a new one, if the API key's file is known and the old one is at its end."""
    now = datetime.now(UTC)
    if context.token is not None and context.fresh(now):
        return context.token
    if context.api_key_file is None:
        raise CliError(
            f"the sign-in of context {context.name} has ended", Exit.REFUSED, f"Again: octo login {context.server}"
        )
    renewed = sign_in(context, read_key(Path(context.api_key_file)))
    assert renewed.token is not None  # noqa: S101 - sign_in got one or raised
    return renewed.token


def sign_in(context: Context, api_key: str) -> Context:
    """The context with a token for the key, kept from now on. Raises CliError."""
    from dataclasses import replace

    from octo_cli import config
    from octo_cli.rest import error_of
    from octo_client import Client, OctoError

    try:
        with Client(context.server, api_key=api_key) as client:
            token = client.auth_login()
    except OctoError as error:
        told = error_of(error, context.server)
        if told is not None and told.code is Exit.REFUSED:
            told.hint = "Is it the whole API key, and not revoked or expired?"
        raise (told or error) from error
    signed = replace(context, token=token.access_token, token_expires_at=token.expires_at)
    known = config.load()
    put = known.with_context(signed)
    config.save(put if known.current in (None, context.name) else replace(put, current=known.current))
    return signed


def read_key(file: Path) -> str:
    """The API key in a file. Raises CliError."""
    try:
        key = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"the API key cannot be read: {error}", Exit.USAGE) from error
    if not key:
        raise CliError(f"there is no API key in {file}", Exit.USAGE)
    return key
