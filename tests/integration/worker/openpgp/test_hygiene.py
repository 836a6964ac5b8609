"""What a key ring leaves behind, and shows while it is there: nothing."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.limits import ExpansionMeter
from tests.integration.worker.conftest import wait_until
from tests.integration.worker.openpgp.conftest import LARGE, PgpSecrets, descendants, opened, pieces
from tests.support.pgp import PgpKey, encrypt_symmetric

CSV = b"planted plaintext,b\n" * 50


def agents_of(folder: Path) -> list[int]:
    """The gpg-agents of the homes below a folder, whoever's children they are."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"gpg-agent" in command and os.fsencode(folder) in command:
            found.append(int(process.name))
    return found


def test_nothing_is_seen_and_nothing_stays(pgp_secrets: PgpSecrets, pgp_key: PgpKey, other_pgp_key: PgpKey) -> None:
    before, threads, files = set(descendants()), threading.active_count(), set(os.listdir("/proc/self/fd"))
    pgp_secrets.put_key(pgp_key)
    pgp_secrets.put_key(other_pgp_key, "additional/0/")
    message = pgp_key.encrypt(LARGE * 8)
    with pgp_secrets.ring(additional=1) as ring:
        (home,) = pgp_secrets.memory.iterdir()
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert opened(ring, pgp_key.encrypt(CSV)) == CSV
        assert opened(ring, encrypt_symmetric(pgp_key.home, CSV, other_pgp_key.passphrase)) == CSV
        stream = ring.decrypt(pieces(message), ExpansionMeter(len(message), Unpack()))
        next(stream)
        assert len(agents_of(home)) == 1
        children = set(descendants()) - before | set(agents_of(home))
        assert len(children) >= 4  # the agent and what it hangs on, a gpg that stays, a gpg of its own
        for pid in children:
            shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
            for secret in (pgp_key.passphrase, other_pgp_key.passphrase, "PRIVATE KEY", "planted"):
                assert secret.encode() not in shown
            for name in written_by(pid):
                assert name.is_relative_to(home), name
        # What small messages were in is gone, before the ring is.
        assert list((home / "w").iterdir()) == []
        assert b"".join(stream)
    assert set(descendants()) == before
    assert agents_of(home) == []
    assert threading.active_count() == threads
    assert set(os.listdir("/proc/self/fd")) == files
    assert list(pgp_secrets.memory.iterdir()) == []


def written_by(pid: int) -> list[Path]:
    """The regular files that a process has open for writing."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target, flags = descriptor.readlink(), Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
        except OSError:
            continue
        writing = int(flags.split("flags:")[1].split()[0], 8) & os.O_ACCMODE != os.O_RDONLY
        if writing and target.is_file():
            found.append(target)
    return found


def test_nothing_stays_of_a_ring_that_could_not_be_made(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> None:
    before = set(descendants())
    pgp_secrets.put("privateKey", pgp_key.private)
    pgp_secrets.put("passphrase", "wrong")
    with pytest.raises(Failed), pgp_secrets.ring():
        pass
    assert set(descendants()) == before
    assert agents_of(pgp_secrets.memory) == []


WORKER = """
import sys
from pathlib import Path
from octo_core.domain.provider import OpenPgp, Unpack
from octo_worker.credentials import Secrets
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.decrypt import key_ring
folder = Path(sys.argv[1])
with key_ring(folder / "m", Secrets(folder), OpenPgp()) as ring:
    message = (folder / "message").read_bytes()
    list(ring.decrypt(iter([message]), ExpansionMeter(len(message), Unpack())))
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_the_agent_goes_with_a_worker_that_is_killed(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> None:
    pgp_secrets.put_key(pgp_key)
    (pgp_secrets.folder / "message").write_bytes(pgp_key.encrypt(CSV))
    command = [sys.executable, "-c", WORKER, str(pgp_secrets.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert len(agents_of(pgp_secrets.memory)) == 1
        worker.send_signal(signal.SIGKILL)
    wait_until(lambda: not agents_of(pgp_secrets.memory))
    for home in pgp_secrets.memory.iterdir():
        subprocess.run(["rm", "-r", home], check=True)
