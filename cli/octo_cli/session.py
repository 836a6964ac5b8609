"""Who somebody is at a server: by an API key, or by a token that is renewed while it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from octo_cli import config
from octo_cli.config import Context
from octo_cli.errors import CliError
from octo_cli.exits import Exit
from octo_client import Client, OctoError, models

_AGAIN = timedelta(seconds=30)
"""When to try once more to renew what could not be renewed."""


class Session(Protocol):
    """Has a client that may be used now."""

    @property
    def client(self) -> Client:
        """For the next call."""
        ...

    def close(self) -> None:
        """Let go of its connections."""
        ...


class ByKey:
    """By an API key, or by nothing."""

    def __init__(self, server: str, api_key: str | None) -> None:
        self.client = Client(server, api_key=api_key)

    def close(self) -> None:
        """All connections."""
        self.client.close()


class ByToken:
    """By the token of a context. It is renewed when half its time is over, for as long as the server does that; when it
    has ended, the context's file with the API key, if there is one, begins anew."""

    def __init__(self, context: Context, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._context = context if context.fresh(clock()) else self._anew(context)
        self._client = Client(context.server, token=self._context.token)

    @property
    def client(self) -> Client:
        """With a token that is good for what is about to begin. Raises CliError if there is no way to one."""
        now = self._clock()
        if not self._context.fresh(now):
            self._use(self._anew(self._context))
        elif self._context.due(now):
            self._use(self._renewed())
        return self._client

    def close(self) -> None:
        """All connections."""
        self._client.close()

    def _renewed(self) -> Context:
        try:
            return keep(with_token(self._context, self._client.auth_renew(), self._clock()))
        except OctoError:
            # Its session may be over, or the server away; what there is is still good for a while.
            return replace(self._context, token_renew_at=self._clock() + _AGAIN)

    def _anew(self, context: Context) -> Context:
        if context.api_key_file is None:
            raise CliError(
                f"the sign-in of context {context.name} has ended", Exit.REFUSED, f"Again: octo login {context.server}"
            )
        return sign_in(context, read_key(Path(context.api_key_file)), clock=self._clock)

    def _use(self, context: Context) -> None:
        if context.token != self._context.token:
            self._client.close()
            self._client = Client(context.server, token=context.token)
        self._context = context


def sign_in(context: Context, api_key: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Context:
    """The context with a token for the key, kept from now on. Raises OctoError."""
    with Client(context.server, api_key=api_key) as client:
        token = client.auth_login()
    return keep(with_token(context, token, clock()))


def with_token(context: Context, token: models.Token, now: datetime) -> Context:
    """The context with this token, which was given just now."""
    half = timedelta(seconds=token.expires_in / 2)
    return replace(context, token=token.access_token, token_expires_at=token.expires_at, token_renew_at=now + half)


def keep(context: Context) -> Context:
    """Write it down; which context is in use stays as it is, unless there was none."""
    known = config.load()
    put = known.with_context(context)
    config.save(put if known.current in (None, context.name) else replace(put, current=known.current))
    return context


def read_key(file: Path) -> str:
    """The API key in a file. Raises CliError."""
    try:
        key = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"the API key cannot be read: {error}", Exit.USAGE) from error
    if not key:
        raise CliError(f"there is no API key in {file}", Exit.USAGE)
    return key
