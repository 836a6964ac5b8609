"""Opens a connection: the server proves itself by a pinned key, then the user logs in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import asyncssh

from octo_core.domain.failure import Category
from octo_worker.failure import ConnectionLostError, Failed, one_line
from octo_worker.sources.sftp.connection import Connection, Timings
from octo_worker.sources.sftp.errors import ERRORS
from octo_worker.sources.sftp.host_keys import CERTIFICATE, KEY_TYPES, HostKeys, algorithms, described
from octo_worker.sources.sftp.login import Login

# GCM is several times cheaper here than chacha20 or ctr with a MAC; the others stay for servers without it.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
KEYBOARD = "keyboard-interactive"
WINDOW = 8 << 20
"""What a server may send ahead of us on one connection: it bounds the rate over a long way."""

_HUNG_UP = (asyncssh.ConnectionLost, asyncssh.KeyExchangeFailed, ConnectionResetError, BrokenPipeError)
"""What is seen of a server that has no key of a type that was asked for, and of many a broken connection."""


class _Client(asyncssh.SSHClient):
    """Answers what asyncssh asks while it connects, and remembers what it was shown and asked."""

    def __init__(self, host_keys: HostKeys, login: Login | None) -> None:
        self._host_keys = host_keys
        self._login = login
        self.shown: asyncssh.SSHKey | None = None
        self.certified = False
        self.used: list[str] = []
        self.unanswered = ""

    @property
    def shown_type(self) -> str:
        """As one of ``HostKeys.types``."""
        return CERTIFICATE if self.certified or self.shown is None else self.shown.get_algorithm()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return self._login is not None and self._host_keys.trusts(key, addr)

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown, self.certified = key, True
        return self._login is not None and self._host_keys.trusts_authority(key, addr)

    def password_auth_requested(self) -> str | None:
        return self._password_for("password")

    def kbdint_auth_requested(self) -> str | None:
        may = self._login is not None and self._login.password is not None and KEYBOARD not in self.used
        return "" if may else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        if not prompts:
            return []  # a text to be shown, or the end
        # A prompt's words depend on the server's language; that what is typed must not be seen does not.
        # Each password is given once: asked again, the server did not like it.
        if len(prompts) == 1 and not prompts[0][1]:
            password = self._password_for(KEYBOARD)
            if password is not None:
                return [password]
        self.unanswered = prompts[0][0].strip()
        return None

    def _password_for(self, method: str) -> str | None:
        if self._login is None or self._login.password is None or method in self.used:
            return None
        self.used.append(method)
        return self._login.password


@dataclass(slots=True)
class Dialer:
    """Opens connections to one server as one user."""

    host_keys: HostKeys
    login: Login
    timings: Timings
    _types: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._types = self.host_keys.types

    async def __call__(self) -> Connection:
        """A connection, or ``Failed``.

        A server shows one key, of the first type in our list that it has. Where only a fingerprint is pinned,
        that may be another key than the pinned one, so it is asked again without that type. What worked is
        remembered for the next connection.
        """
        types, refused = self._types, list[asyncssh.SSHKey]()
        while True:
            client = _Client(self.host_keys, self.login)
            try:
                connection = await self._open(client, types)
            except asyncssh.HostKeyNotVerifiable as error:
                refused += [client.shown] if client.shown else []
                types = _without(types, client)
                if not types or client.shown is None:
                    raise self._not_pinned(refused, error, client) from error
            except ERRORS as error:
                if client.shown is None and isinstance(error, _HUNG_UP):
                    other = await self._shown_instead_of(types)
                    if other is not None:
                        raise self._not_pinned([*refused, other], error, client) from error
                raise self._refusal(error, client) from error
            else:
                self._types = types
                return connection

    async def _open(self, client: _Client, types: tuple[str, ...]) -> Connection:
        async with asyncio.timeout(self.timings.connect_seconds), AsyncExitStack() as undo:
            ssh = await asyncssh.connect(
                self.host_keys.host,
                self.host_keys.port,
                client_factory=lambda: client,
                username=self.login.username,
                client_keys=self.login.keys() or None,
                # The client above decides; asyncssh looks for revoked keys in certificates.
                known_hosts=([], [], self.host_keys.revoked),
                server_host_key_algs=algorithms(types),
                x509_trusted_certs=None,
                config=None,
                agent_path=None,
                preferred_auth=("publickey", "password", KEYBOARD),
                encryption_algs=CIPHERS,
                compression_algs=None,
                connect_timeout=None,
                login_timeout=0,
                keepalive_interval=15,
                keepalive_count_max=4,
                window=WINDOW,
            )
            undo.callback(ssh.abort)
            try:
                sftp = await ssh.start_sftp_client()
            except (asyncssh.ChannelOpenError, asyncssh.SFTPConnectionLost) as error:
                if ssh.is_closed():
                    raise asyncssh.ConnectionLost(str(error)) from error
                # The login was good, but there is no SFTP, or what was started for it ended at once, such as a shell
                # that lets nobody in.
                raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, one_line(error)) from error
            undo.pop_all()
        return Connection(ssh, sftp, self.timings.stall_seconds)

    async def _shown_instead_of(self, types: tuple[str, ...]) -> asyncssh.SSHKey | None:
        """The key that a server shows which may have none of these types: such a server just hangs up.

        None if it does have one, or does not answer at all: then the connection broke for another reason.
        """
        every = tuple(dict.fromkeys((*types, *KEY_TYPES)))
        client = _Client(self.host_keys, None)
        with suppress(*ERRORS):
            (await self._open(client, every)).abort()  # not reached: this client trusts no key
        return None if client.shown is None or client.shown_type in types else client.shown

    @property
    def _where(self) -> str:
        return f"{self.host_keys.host}:{self.host_keys.port}"

    def _not_pinned(self, shown: list[asyncssh.SSHKey], error: Exception, client: _Client) -> Failed:
        keys = ", ".join(dict.fromkeys(described(key) for key in shown))
        if "revoked" in str(error):
            revoked = ", ".join(described(key) for key in self.host_keys.revoked)
            text = f"{self._where} shows a host key that source.sftp.hostKeys revokes: {revoked}"
        elif client.certified and client.shown and self.host_keys.trusts_authority(client.shown, ""):
            text = f"the host certificate of {self._where} is not good: {one_line(error)}"
        elif client.certified:
            text = f"the host certificate of {self._where} is by an authority that is not pinned: {keys}"
        else:
            text = f"the host key of {self._where} is not among source.sftp.hostKeys: the server shows {keys}"
        if not self.host_keys.names_the_host:
            text += f" (no line there is for {self._where})"
        return Failed(Category.HOST_KEY, text)

    def _refusal(self, error: Exception, client: _Client) -> Failed:
        where, user, text = self._where, self.login.username, one_line(error)
        if isinstance(error, TimeoutError):
            return ConnectionLostError(f"no connection to {where} in {self.timings.connect_seconds:g} s")
        if isinstance(error, asyncssh.PermissionDenied) or "authentication failures" in text:
            used = (["privateKey"] if self.login.key else []) + client.used
            text = f"{where} refused the login of {user}" + (f" with {', '.join(used)}" if used else "")
            if client.unanswered:
                text += f"; it asked {client.unanswered[:100]!r}"
            elif not used:
                text += "; it takes no password"
            return Failed(Category.AUTH, text)
        if isinstance(error, asyncssh.ChannelOpenError):
            return Failed(Category.AUTH, f"{where} gives {user} no SFTP session: {text}")
        if isinstance(error, asyncssh.SFTPBadMessage):
            return Failed(Category.REMOTE_UNAVAILABLE, f"{where} does not speak SFTP: {text}")
        return ConnectionLostError(f"cannot connect to {where}: {text}")


def _without(types: tuple[str, ...], client: _Client) -> tuple[str, ...]:
    """The types left to ask for after the client refused what it was shown."""
    refused = client.shown_type
    # A server that shows what was not asked for would be asked forever.
    return tuple(kind for kind in types if kind != refused) if refused in types else ()
