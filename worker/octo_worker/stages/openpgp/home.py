"""Makes the run's key ring: a private GNUPGHOME in memory, with every key ready for use, gone afterwards.

The keys lie in it without a passphrase. gpg can be given one passphrase for a run of it, but each key may have its own,
and the agent would ask for it, and stretch it, at every use. So each key's protection is taken off once, right after
the import. The folder is memory that only this process's user can enter, and lives as long as the run; the passphrases
are mounted beside the keys anyway, so a protection by them would protect nothing here.
"""

from __future__ import annotations

import itertools
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from octo_core.domain.failure import Category
from octo_core.domain.provider import OpenPgp, OpenPgpMode
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.programs import environment
from octo_worker.stages.openpgp.assuan import Agent, RefusedError
from octo_worker.stages.openpgp.gpg import end, gpg
from octo_worker.stages.openpgp.relay import relay, rsa_key
from octo_worker.stages.openpgp.verdict import Signers

MAX_PASSPHRASE = 255
"""Bytes that gpg takes."""
MAX_HOME = 85
"""The agent's sockets are made in the home, and a socket's path may have 108 bytes."""
# The least stretching: nothing is protected here, and the agent must lose no time on it.
_AGENT_CONF = """\
s2k-count 1024
max-cache-ttl 0
allow-loopback-pinentry
disable-scdaemon
extra-socket none
browser-socket none
"""
_END_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Home:
    """A finished key ring."""

    folder: Path
    passphrases: tuple[bytes, ...] = field(repr=False)
    """Of symmetric messages, in the order to try them."""
    signers: Signers
    relayed: Path | None
    """A GNUPGHOME with the same keys, whose agent is the relay."""
    work: Path
    """A folder for what must not leave memory."""
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def new_work_file(self) -> Path:
        """A path in ``work`` that nobody else gets."""
        return self.work / f"{next(self._numbers)}"


class _Uncounted:
    def add(self, count: int) -> None:
        """Our own keys' listing needs no limit."""


@dataclass(frozen=True, slots=True)
class _Key:
    """A private key of the secrets."""

    name: str
    data: bytes = field(repr=False)
    passphrase: bytes | None = field(repr=False)


@contextmanager
def home(memory_dir: Path, secrets: Secrets, settings: OpenPgp) -> Iterator[Home]:
    """A key ring with the keys of the run's secrets, or with none for symmetric messages.

    With mode Never nothing is decrypted, and the ring is there for detached signatures.
    """
    keys = list(_keys(secrets, settings))
    passphrases = _passphrases(secrets, settings)
    if not keys and not passphrases and settings.mode is not OpenPgpMode.NEVER:
        raise Failed(Category.CONFIG, "decrypt.openpgp has neither a private key nor a passphrase")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="g", dir=memory_dir))  # mode 0700
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if len(os.fsencode(folder)) > MAX_HOME:
            raise Failed(Category.CONFIG, f"the path of the memory folder is too long for gpg: {folder}")
        (folder / "gpg-agent.conf").write_text(_AGENT_CONF)
        work, relayed = folder / "w", folder / "r"
        work.mkdir(mode=0o700)
        relayed.mkdir(mode=0o700)
        agent = stack.enter_context(_agent(folder))
        for key in keys:
            _import_private(folder, agent, key, passphrases)
        signers = _import_signers(folder, secrets)
        if keys:
            _copy_public(folder, relayed)
            stack.enter_context(_relay(folder, relayed, agent))
        yield Home(folder, passphrases, signers, relayed if keys else None, work)


def _keys(secrets: Secrets, settings: OpenPgp) -> Iterator[_Key]:
    main = secrets.read("openpgp", "privateKey")
    if main is not None:
        yield _Key("openpgp/privateKey", main, _passphrase(secrets, "passphrase"))
    for number in range(len(settings.additional_keys)):
        folder = f"additional/{number}"
        data = secrets.read("openpgp", f"{folder}/privateKey")
        if data is None:
            raise Failed(Category.CONFIG, f"decrypt.openpgp.additionalKeys[{number}]: its Secret has no such key")
        yield _Key(f"openpgp/{folder}/privateKey", data, _passphrase(secrets, f"{folder}/passphrase"))


def _passphrases(secrets: Secrets, settings: OpenPgp) -> tuple[bytes, ...]:
    names = ["passphrase", *(f"additional/{number}/passphrase" for number in range(len(settings.additional_keys)))]
    found = (_passphrase(secrets, name) for name in names)
    return tuple(dict.fromkeys(passphrase for passphrase in found if passphrase))


def _passphrase(secrets: Secrets, name: str) -> bytes | None:
    value = (secrets.line("openpgp", name) or "").encode()
    if len(value) > MAX_PASSPHRASE:
        raise Failed(Category.CONFIG, f"secret openpgp/{name} has more than the {MAX_PASSPHRASE} bytes that gpg takes")
    if b"\n" in value or b"\0" in value:
        raise Failed(Category.CONFIG, f"secret openpgp/{name} is more than one line of text")
    return value or None


@contextmanager
def _agent(folder: Path) -> Iterator[Path]:
    """Runs the ring's gpg-agent, and gives the path of its socket.

    It is started to live as long as a ``cat`` that reads from us, so that it goes when this process is killed.
    """
    socket = _socket_of(folder)
    command = ("gpg-agent", "--homedir", str(folder), "--daemon", "--", "cat")
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell, and only our own words
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(),
            bufsize=0,
        )
    except OSError as error:
        raise Failed(Category.CONFIG, f"gpg-agent cannot be started: {error.strerror}") from error
    try:
        assert process.stdin is not None  # noqa: S101 - made with pipes
        assert process.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):
            process.stdin.write(b"\n")
        # ``cat`` runs once the agent listens.
        if process.stdout.read(1) != b"\n":
            raise Failed(Category.INFRA, "gpg-agent does not start")
        with _gone_afterwards(socket):
            yield socket
    finally:
        end(process)
        for last in ("--kill", "all"), ("--remove-socketdir",):
            with suppress(OSError, subprocess.TimeoutExpired):
                _run("gpgconf", "--homedir", str(folder), *last)


@contextmanager
def _gone_afterwards(socket: Path) -> Iterator[None]:
    """Sees that the agent has ended when the block is left, where the system lets us wait for what is not our child."""
    handle = -1
    if sys.platform == "linux":
        with suppress(OSError), Agent(socket) as agent:
            handle = os.pidfd_open(int(agent.ask("GETINFO pid")[0].removeprefix(b"D ")))
    try:
        yield
    finally:
        with suppress(OSError, RefusedError), Agent(socket) as agent:
            agent.ask("KILLAGENT")
        if sys.platform == "linux" and handle >= 0:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(_END_SECONDS * 1000):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


def _socket_of(folder: Path) -> Path:
    """Where gpg looks for the agent of a home: in it, or below /run/user where there is such a folder."""
    try:
        _run("gpgconf", "--homedir", str(folder), "--create-socketdir")
        said = _run("gpgconf", "--homedir", str(folder), "--list-dirs", "agent-socket")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(Category.CONFIG, "gpgconf cannot be run; is gpg installed here?") from error
    return Path(unquote(said.strip()))


def _run(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 - no shell, and only our own words
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        timeout=_END_SECONDS,
        check=False,
    )
    return done.stdout.decode()


def _import_private(folder: Path, agent: Path, key: _Key, passphrases: Sequence[bytes]) -> None:
    stored = folder / "private-keys-v1.d"
    before = set(stored.glob("*.key"))
    if not any(is_private for _, is_private in _import(folder, key.data)):
        raise Failed(Category.DECRYPT, f"{key.name} cannot be imported as an OpenPGP private key")
    new = _of_use(folder, sorted(set(stored.glob("*.key")) - before))
    candidates = [key.passphrase, *passphrases] if key.passphrase else list(passphrases)
    # Of a file with several keys some may be locked for good; messages to those say so.
    opened = [_take_off_protection(agent, path.stem, dict.fromkeys(filter(None, candidates))) for path in new]
    if new and not any(opened):
        why = "its passphrase is wrong" if candidates else "it is protected by a passphrase, and none is given"
        raise Failed(Category.DECRYPT, f"{key.name} cannot be opened: {why}")


def _of_use(folder: Path, found: list[Path]) -> list[Path]:
    """Those that can open a message, as far as gpg knows: to unlock one that only signs takes as long, for nothing."""
    with gpg(folder, None, "--with-colons", "--with-keygrip", "--fixed-list-mode", "--list-secret-keys") as child:
        listing = b"".join(child.through(iter(()), _Uncounted()))
    idle, uses = set[str](), ""
    for words in (line.split(":") for line in listing.decode("utf-8", "replace").splitlines()):
        if words[0] in ("sec", "ssb"):
            # Of a primary key, capitals tell what the key as a whole is good for.
            uses = "".join(use for use in words[11] if use.islower())
        elif words[0] == "grp" and uses and "e" not in uses:
            idle.add(words[9])
    return [path for path in found if path.stem not in idle] or found


def _take_off_protection(path: Path, keygrip: str, passphrases: Iterable[bytes]) -> bool:
    """Whether the key is usable without a passphrase now."""
    try:
        with Agent(path) as agent:
            agent.ask("OPTION pinentry-mode=loopback")
            with suppress(RefusedError):
                info = agent.ask(f"KEYINFO {keygrip}")
                if info and info[0].split()[7:8] == [b"C"]:
                    return True
            for passphrase in passphrases:
                with suppress(RefusedError):
                    agent.ask(f"PASSWD {keygrip}", {"PASSPHRASE": passphrase, "NEW_PASSPHRASE": b""})
                    return True
    except OSError as error:
        raise Failed(Category.INFRA, f"gpg-agent cannot be reached: {error.strerror}") from error
    return False


def _import_signers(folder: Path, secrets: Secrets) -> Signers:
    data = secrets.read("openpgp", "signerKeys")
    if data is None:
        return Signers()
    primaries = frozenset(fingerprint for fingerprint, _ in _import(folder, data))
    if not primaries:
        raise Failed(Category.CONFIG, "openpgp/signerKeys holds no OpenPGP public key that gpg can use")
    with gpg(folder, None, "--with-colons", "--fixed-list-mode", "--list-keys", *sorted(primaries)) as child:
        listing = b"".join(child.through(iter(()), _Uncounted()))
    fields = (line.split(":") for line in listing.decode("utf-8", "replace").splitlines())
    return Signers(primaries, frozenset(words[9] for words in fields if words[0] == "fpr"))


def _import(folder: Path, data: bytes) -> list[tuple[str, bool]]:
    """The fingerprints of the imported keys, each with whether its private part was there."""
    with gpg(folder, None, "--import", output=False) as child:
        for _ in child.beside(iter((data,))):
            pass
    done = [line for line in child.status if line[0] == "IMPORT_OK" and len(line) > 2 and line[1].isdigit()]
    private = {line[2] for line in done if int(line[1]) & 16}
    return [(fingerprint, fingerprint in private) for fingerprint in dict.fromkeys(line[2] for line in done)]


def _copy_public(folder: Path, relayed: Path) -> None:
    for ring in folder.glob("pubring.*"):
        if not ring.name.endswith("~"):
            shutil.copyfile(ring, relayed / ring.name)


@contextmanager
def _relay(folder: Path, relayed: Path, agent: Path) -> Iterator[None]:
    found = {path.stem: rsa_key(path.read_text("latin-1")) for path in (folder / "private-keys-v1.d").glob("*.key")}
    try:
        with relay(_socket_of(relayed), agent, {grip: key for grip, key in found.items() if key is not None}):
            yield
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            _run("gpgconf", "--homedir", str(relayed), "--remove-socketdir")
