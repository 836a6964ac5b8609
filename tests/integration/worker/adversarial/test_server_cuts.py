"""An SFTP server, or the way to it, that breaks off: in each phase of the protocol, once and for good."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome
from tests.integration.worker.adversarial.deliveries import LONG, deliver
from tests.integration.worker.adversarial.verdict import assert_only, assert_sound
from tests.integration.worker.conftest import WorkerPod, wait_until
from tests.integration.worker.held import lead_through
from tests.support.pgp import PgpKey
from tests.support.ports import free_port, wait_until_listening
from tests.support.samples import csv, noise
from tests.support.sftp import Inbox, SftpServer, make_ssh_key, public_key
from tests.support.tcp_faults import Fault, How, TcpProxy, proxied

HANDSHAKE = (0, 1, 20, 45, 700, 1300, 1650, 1900, 2300, 2700)
"""Bytes from the server: before and in its banner, in the key exchange, the login, the opening of SFTP."""
AFTERWARDS = (2900, 3200, 3500, 3750, 4000, 30_000, 1_000_000, 2_500_000)
"""Bytes from the server: in the listing, the opening of the first file, and the reading."""
EVERY = 1000
"""Connections; far more than any worker tries."""


@pytest.fixture
def good(inbox: Inbox, pgp_key: PgpKey) -> dict[str, bytes]:
    """A file that most of the bytes are of, an archive, and small ones."""
    objects: dict[str, bytes] = {}
    for stem, form, content in (
        ("large", "csv.gpg", noise(1, 3_000_000)),
        ("pack", "tar.gz", csv(2)),
        ("small", "csv", b"1,2\n"),
        ("other", "xml.gz", csv(3)),
    ):
        delivery = deliver(stem, form, content, pgp_key)
        inbox.put(delivery.name, delivery.data)
        objects |= delivery.objects
    return objects


@pytest.fixture
def proxy(pod: WorkerPod, inbox: Inbox) -> Iterator[TcpProxy]:
    """The way to the server, with one connection so that every phase has its place in the bytes."""
    with proxied(inbox.server.port) as proxy:
        lead_through(pod.document["source"]["sftp"], proxy.port, inbox.server)
        pod.document["source"]["sftp"]["maxConnections"] = 1
        pod.document["transfer"] = {"concurrentFiles": 1}
        yield proxy


RESETS = [(after, How.RESET) for after in (*HANDSHAKE, *AFTERWARDS)]
ENDS = [(after, How.CLOSE) for after in (0, 45, 1650, 2700, 3200, 2_500_000)]


@pytest.mark.parametrize(("after", "how"), [*RESETS, *ENDS])
def test_cut_once_it_heals(pod: WorkerPod, good: dict[str, bytes], proxy: TcpProxy, after: int, how: How) -> None:
    proxy.break_next(Fault(after, how=how))

    ended = pod.run()

    assert_only(pod, ended, good, {})
    assert ended.code == 0
    assert proxy.accepted >= 2, "the connection was not cut"
    if after >= 30_000:
        tries = [row.tries for row in pod.manifest()]
        assert max(tries) == 2
        assert min(tries) == 1


@pytest.mark.parametrize("direction", ["to_client", "to_server"])
def test_cut_at_the_end_of_the_last_file(
    pod: WorkerPod, good: dict[str, bytes], proxy: TcpProxy, direction: str
) -> None:
    assert pod.run().code == 0
    whole = proxy.passed["to_client" if direction == "to_client" else "to_server"]
    for number, less in enumerate((1, 40, 120, 250), start=2):
        pod.bucket = pod.bucket.server.new_bucket()
        pod.document["destination"]["s3"]["bucket"] = pod.bucket.name
        proxy.break_next(Fault(whole - less, "to_client" if direction == "to_client" else "to_server"))
        ended = pod.run(attempt=number)
        assert_only(pod, ended, good, {}, attempt=number)
        assert ended.code == 0
        proxy.break_next(None)


@pytest.mark.parametrize("after", [0, 45, 1300, 2300, 3200, 4000, 30_000])
def test_cut_for_good_ends_the_run(
    pod: WorkerPod, inbox: Inbox, good: dict[str, bytes], proxy: TcpProxy, after: int
) -> None:
    proxy.break_next(*[Fault(after)] * EVERY)

    ended = pod.run()

    assert_sound(pod, ended)
    assert (ended.code, ended.outcome.category) == (20, Category.REMOTE_UNAVAILABLE), ended.log
    assert {key for key, data in pod.data().items() if good.get(key) != data} == set()
    assert "csv/large.csv" not in pod.data()
    assert proxy.accepted < 100, "it went on trying for ever"

    lead_through(pod.document["source"]["sftp"], inbox.server.port, inbox.server)
    again = pod.run(attempt=2)
    assert_only(pod, again, good, {}, attempt=2)
    assert again.code == 0


def test_all_connections_cut_in_the_middle(pod: WorkerPod, inbox: Inbox) -> None:
    good = {f"csv/{n}.csv": noise(n, 12_000_000) for n in range(4)}
    for key, data in good.items():
        inbox.put(key.removeprefix("csv/"), data)
    with proxied(inbox.server.port) as proxy:
        lead_through(pod.document["source"]["sftp"], proxy.port, inbox.server)
        process = pod.start()
        wait_until(lambda: proxy.passed["to_client"] > 10_000_000)
        assert proxy.cut() > 0
        ended = pod.end(process)

    assert_only(pod, ended, good, {})
    rows = pod.manifest()
    assert {row.outcome for row in rows} == {FileOutcome.STORED}
    assert max(row.tries for row in rows) == 2


@pytest.mark.skipif(not LONG, reason="takes the minutes that a silent server is waited for")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("after", [0, 45, 1300, 2300, 3200, 30_000])
def test_silence_for_good_ends_the_run(pod: WorkerPod, good: dict[str, bytes], proxy: TcpProxy, after: int) -> None:
    proxy.break_next(*[Fault(after, how=How.STALL)] * EVERY)
    ended = pod.end(pod.start(), timeout=800)
    assert_sound(pod, ended)
    assert (ended.code, ended.outcome.category) == (20, Category.REMOTE_UNAVAILABLE), ended.log


def test_a_host_key_that_changes_between_runs(pod: WorkerPod, inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("first.csv", b"1")
    with proxied(inbox.server.port) as proxy:
        port = proxy.port
        lead_through(pod.document["source"]["sftp"], port, inbox.server)
        assert pod.run().code == 0
    before = pod.bucket.objects()
    inbox.put("second.csv", b"2")

    with _another_server(inbox.server, tmp_path) as other, _at(port, other):
        ended = pod.run(attempt=2)

    assert (ended.code, ended.outcome.category) == (31, Category.HOST_KEY), ended.log
    assert "host key" in ended.outcome.message
    assert pod.bucket.objects() == before
    assert "Accepted" not in (tmp_path / "sshd.log").read_text(), "it has sent its login to a stranger"

    with _at(port, inbox.server.port):
        assert pod.run(attempt=3).code == 0
    assert pod.data() == {"csv/first.csv": b"1", "csv/second.csv": b"2"}
    assert_sound(pod, ended, 2)


@contextmanager
def _at(port: int, target: int) -> Iterator[None]:
    """Whatever listens at ``target`` listens at that port too."""
    proxy = TcpProxy(target)
    proxy.port = port
    proxy.start()
    try:
        yield
    finally:
        proxy.stop()


@contextmanager
def _another_server(server: SftpServer, folder: Path) -> Iterator[int]:
    """A server that lets the same users in to the same files, and has another host key."""
    key = make_ssh_key(folder / "host")
    assert public_key(key) != server.host_key
    port = free_port()
    lines = (server.folder / "config").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("HostKey ", "Port "))]
    (folder / "config").write_text("\n".join([f"Port {port}", f"HostKey {key}", *kept]))
    mounts = f"mount --bind {server.folder}/passwd /etc/passwd && mount --bind {server.folder}/shadow /etc/shadow"
    command = f"{mounts} && exec /usr/sbin/sshd -D -f {folder}/config -E {folder}/sshd.log"
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", command])
    try:
        wait_until_listening("sshd", process, port, folder / "sshd.log")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=240)
