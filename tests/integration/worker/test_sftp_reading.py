"""Reading from a real OpenSSH server through a proxy that breaks connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import ConnectionLostError, Failed
from octo_worker.sources import RemoteFile
from octo_worker.sources.sftp import SftpFiles
from octo_worker.sources.sftp.connection import Timings
from octo_worker.sources.tries import Tries
from tests.support.ports import free_port
from tests.support.sftp import PASSWORD, Inbox, SftpServer
from tests.support.sftp_source import SOON, content, listed, sftp_files
from tests.support.tcp_faults import Fault, How, TcpProxy, proxied

BIG = os.urandom(10_000_019)
IMPATIENT = Timings(connect_seconds=5, stall_seconds=1, backoff_seconds=0.01)


@pytest.fixture
def proxy(sftp_server: SftpServer) -> Iterator[TcpProxy]:
    with proxied(sftp_server.port) as proxy:
        yield proxy


def source(inbox: Inbox, folder: Path, **settings: Any) -> SftpFiles:
    given: dict[str, Any] = {"paths": [str(inbox.path)], **settings}
    return sftp_files(inbox.server, folder, **given)


def of(path: Path) -> RemoteFile:
    """A file as its listing has it."""
    stat = path.stat()
    return RemoteFile(str(path), "", stat.st_size, int(stat.st_mtime))


class TestSound:
    @pytest.mark.parametrize("size", [0, 1, (255 << 10) - 1, 255 << 10, (255 << 10) + 1, len(BIG)])
    async def test_every_byte_in_order(self, inbox: Inbox, tmp_path: Path, size: int) -> None:
        file, files = of(inbox.put("a.bin", BIG[:size])), source(inbox, tmp_path)
        async with files.session():
            assert await content(files, file) == BIG[:size]

    async def test_many_at_once_over_several_connections(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        data = {f"{number}.bin": BIG[number : number + 1_000_000] for number in range(12)}
        for name, bytes_ in data.items():
            inbox.put(name, bytes_)
        files = source(inbox, tmp_path, port=proxy.port, max_connections=3)
        async with files.session():
            found = await listed(files)
            read = await asyncio.gather(*(content(files, found[name]) for name in data))
            assert dict(zip(data, read, strict=True)) == data
            assert proxy.accepted == 3

    async def test_a_server_that_takes_fewer_connections(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        file = of(inbox.put("a.bin", BIG))
        proxy.limit = 2
        files = source(inbox, tmp_path, port=proxy.port)
        async with files.session():
            tries = [Tries(3) for _ in range(8)]
            read = await asyncio.gather(*(content(files, file, each) for each in tries))
        assert all(data == BIG for data in read)
        assert [each.used for each in tries] == [1] * 8
        assert proxy.accepted == 2

    async def test_leaving_early_leaves_the_connection_of_use(
        self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy
    ) -> None:
        file, files = of(inbox.put("a.bin", BIG)), source(inbox, tmp_path, port=proxy.port)
        async with files.session():
            async with aclosing(files.read(file)) as blocks:
                await anext(blocks)
            assert await content(files, file) == BIG
            assert proxy.accepted == 1

    async def test_a_server_without_limits_and_with_short_answers(self, tmp_path: Path) -> None:
        class Short(asyncssh.SFTPServer):
            async def read(self, file_obj: object, offset: int, size: int) -> bytes:
                return BIG[offset : offset + min(size, 5000)]

        server, listener = await _own_server(tmp_path, Short)
        try:
            (tmp_path / "a.bin").write_bytes(BIG[:1_000_000])
            file, files = of(tmp_path / "a.bin"), sftp_files(server, tmp_path, secrets={"password": PASSWORD})
            async with files.session():
                assert await content(files, file) == BIG[:1_000_000]
        finally:
            listener.close()
            await listener.wait_closed()


class _AnyPassword(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD


async def _own_server(folder: Path, sftp: type[asyncssh.SFTPServer]) -> tuple[SftpServer, asyncssh.SSHAcceptor]:
    """For what OpenSSH never does."""
    key, port = asyncssh.generate_private_key("ssh-ed25519"), free_port()
    listener = await asyncssh.listen(
        "127.0.0.1", port, server_factory=_AnyPassword, server_host_keys=[key], sftp_factory=sftp
    )
    return SftpServer(port, folder, folder, key.export_public_key().decode().strip(), b""), listener


class TestChanging:
    """The reader tells what it can; the caller compares count and stat."""

    async def test_grown(self, inbox: Inbox, tmp_path: Path) -> None:
        path, files = inbox.put("a.bin", BIG), source(inbox, tmp_path)
        file = of(path)
        inbox.put("a.bin", BIG + b"more", modified_at=1_700_000_001)
        async with files.session():
            assert await content(files, file) == BIG
            assert await files.stat(file) != file.stat

    async def test_shrunk(self, inbox: Inbox, tmp_path: Path) -> None:
        path, files = inbox.put("a.bin", BIG), source(inbox, tmp_path)
        file = of(path)
        async with files.session(), aclosing(files.read(file)) as blocks:
            first = await anext(blocks)
            os.truncate(path, 6_000_000)
            rest = b"".join([block async for block in blocks])
        # What was sent ahead of it came whole.
        assert len(first + rest) < len(BIG)
        assert BIG.startswith(first + rest)

    async def test_replaced_by_a_link(self, inbox: Inbox, tmp_path: Path) -> None:
        path, files = inbox.put("a.bin", BIG), source(inbox, tmp_path)
        file = of(path)
        path.rename(inbox.path / "b.bin")
        path.symlink_to("b.bin")
        async with files.session():
            assert (await files.stat(file)).size == -1

    async def test_vanished(self, inbox: Inbox, tmp_path: Path) -> None:
        path, files = inbox.put("a.bin", BIG), source(inbox, tmp_path)
        file = of(path)
        path.unlink()
        async with files.session():
            for doing in (content(files, file), files.stat(file)):
                with pytest.raises(Failed, match="No such file") as caught:
                    await doing
                assert caught.value.category is Category.INTEGRITY

    async def test_vanished_while_read_over_one_connection(self, inbox: Inbox, tmp_path: Path) -> None:
        """An open file is read to its end; that it is gone shows in its stat."""
        path, files = inbox.put("a.bin", BIG), source(inbox, tmp_path)
        file = of(path)
        async with files.session(), aclosing(files.read(file)) as blocks:
            first = await anext(blocks)
            path.unlink()
            assert first + b"".join([block async for block in blocks]) == BIG


class TestCut:
    @pytest.mark.parametrize("how", [How.RESET, How.CLOSE])
    async def test_read_goes_on_where_it_was(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy, how: How) -> None:
        file, files = of(inbox.put("a.bin", BIG)), source(inbox, tmp_path, port=proxy.port, max_connections=1)
        proxy.break_next(*(Fault(after=after, how=how) for after in (3_000_000, 2_500_000, 40_000)))
        async with files.session():
            tries = Tries(4, base_seconds=0.01)
            assert await content(files, file, tries) == BIG
        assert tries.used == 4
        assert proxy.accepted == 4
        # Nothing that had been read was asked for again: at most what was on its way is lost, three times.
        assert proxy.passed["to_client"] < len(BIG) + 3 * (4 << 20)

    async def test_tries_are_limited(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        file, files = of(inbox.put("a.bin", BIG)), source(inbox, tmp_path, port=proxy.port, attempts=2)
        proxy.break_next(*[Fault(after=1_000_000)] * 5)
        async with files.session():
            with pytest.raises(ConnectionLostError, match="reading") as caught:
                await content(files, file)
        assert caught.value.category is Category.REMOTE_UNAVAILABLE
        assert proxy.accepted == 2

    @pytest.mark.parametrize("change", ["size", "time"])
    async def test_a_file_that_changed_meanwhile(
        self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy, change: str
    ) -> None:
        path, files = inbox.put("a.bin", BIG), source(inbox, tmp_path, port=proxy.port)
        file = of(path)
        proxy.break_next(Fault(after=5_000_000))
        async with files.session(), aclosing(files.read(file)) as blocks:
            await anext(blocks)
            if change == "size":
                os.truncate(path, len(BIG) - 1)
            else:
                os.utime(path, (1_700_000_001, 1_700_000_001))
            with pytest.raises(Failed, match="changed while it was read") as caught:
                _ = [block async for block in blocks]
        assert caught.value.category is Category.INTEGRITY

    async def test_a_login_refused_meanwhile_is_not_tried_again(
        self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy
    ) -> None:
        file, files = of(inbox.put("a.bin", BIG)), source(inbox, tmp_path, port=proxy.port, attempts=9)
        authorized = inbox.server.folder / "authorized"
        before = authorized.read_text()
        proxy.break_next(Fault(after=5_000_000))
        try:
            async with files.session(), aclosing(files.read(file)) as blocks:
                await anext(blocks)
                authorized.write_text("")
                with pytest.raises(Failed, match="refused the login") as caught:
                    _ = [block async for block in blocks]
        finally:
            authorized.write_text(before)
        assert caught.value.category is Category.AUTH
        assert proxy.accepted == 2

    async def test_a_server_that_is_gone(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        file, files = of(inbox.put("a.bin", BIG)), source(inbox, tmp_path, port=proxy.port)
        async with files.session(), aclosing(files.read(file)) as blocks:
            await anext(blocks)
            proxy.refuse()
            proxy.cut()
            with pytest.raises(Failed, match="cannot connect to") as caught:
                _ = [block async for block in blocks]
        assert caught.value.category is Category.REMOTE_UNAVAILABLE

    async def test_a_server_that_comes_back(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        path, files = inbox.put("a.bin", BIG), source(inbox, tmp_path, port=proxy.port)

        def back_by_then(low: float, high: float) -> float:
            proxy.accept()
            return low

        tries = Tries(3, uniform=back_by_then)
        async with files.session(), aclosing(files.read(of(path), tries)) as blocks:
            first = await anext(blocks)
            proxy.refuse()
            proxy.cut()
            assert first + b"".join([block async for block in blocks]) == BIG
        assert tries.used == 2


def phases(total: int) -> list[int]:
    """Where to cut what a server sends, from its first byte to its last: every so often, and oddly."""
    return [0, 1, 20, 21, 22, *range(100, min(total, 6000), 397), total // 2, total - 200, total - 40, total - 1]


class TestEveryPhase:
    """Banner, key exchange, login, SFTP's beginning, listing, stat, open, read."""

    async def whole(self, files: SftpFiles) -> bytes:
        async with files.session():
            (file,) = (await listed(files)).values()
            data = await content(files, file)
            assert await files.stat(file) == file.stat
            return data

    @pytest.mark.parametrize("how", list(How))
    @pytest.mark.parametrize("direction", ["to_client", "to_server"])
    async def test_cut_once(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy, how: How, direction: str) -> None:
        inbox.put("a.bin", BIG[:300_000])
        settings: dict[str, Any] = {"port": proxy.port, "max_connections": 1}
        if how is How.STALL:
            settings["timings"] = replace(IMPATIENT, connect_seconds=1.5)
            settings["attempts"] = 5
        assert await self.whole(source(inbox, tmp_path, **{**settings, "timings": SOON})) == BIG[:300_000]
        total = proxy.passed["to_client" if direction == "to_client" else "to_server"]
        cuts = phases(total)
        for after in cuts[::6] if how is How.STALL else cuts:
            proxy.break_next(Fault(after, "to_client" if direction == "to_client" else "to_server", how))
            accepted = proxy.accepted
            assert await self.whole(source(inbox, tmp_path, **settings)) == BIG[:300_000], after
            assert proxy.accepted > accepted, after

    async def test_cut_each_time(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        inbox.put("a.bin", BIG[:300_000])
        for after in (0, 21, 500, 1200, 2500, 4000):
            proxy.break_next(*[Fault(after)] * 20)
            with pytest.raises(ConnectionLostError):
                await self.whole(source(inbox, tmp_path, port=proxy.port))
            proxy.mend()


class TestSilence:
    async def test_a_stalled_way_counts_as_broken(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        file = of(inbox.put("a.bin", BIG))
        files = source(inbox, tmp_path, port=proxy.port, timings=IMPATIENT)
        proxy.break_next(Fault(after=3_000_000, how=How.STALL))
        async with files.session():
            tries = Tries(2, base_seconds=0.01)
            assert await content(files, file, tries) == BIG
        assert tries.used == 2

    async def test_says_so(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        file = of(inbox.put("a.bin", BIG))
        files = source(inbox, tmp_path, port=proxy.port, timings=IMPATIENT, attempts=1)
        proxy.break_next(Fault(after=3_000_000, how=How.STALL))
        async with files.session():
            with pytest.raises(ConnectionLostError, match="reading: no answer for 1 s"):
                await content(files, file)

    async def test_a_server_that_hangs_while_ssh_answers(self, tmp_path: Path) -> None:
        hung = asyncio.Event()

        class Hanging(asyncssh.SFTPServer):
            async def read(self, file_obj: object, offset: int, size: int) -> bytes:
                await hung.wait()
                return b""

        server, listener = await _own_server(tmp_path, Hanging)
        try:
            (tmp_path / "a.bin").write_bytes(BIG)
            file = of(tmp_path / "a.bin")
            files = sftp_files(server, tmp_path, secrets={"password": PASSWORD}, timings=IMPATIENT, attempts=1)
            async with files.session():
                with pytest.raises(ConnectionLostError, match="no answer for 1 s"):
                    await content(files, file)
        finally:
            hung.set()
            listener.close()
            await listener.wait_closed()

    async def test_a_slow_consumer_is_no_silence(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        file = of(inbox.put("a.bin", BIG))
        files = source(inbox, tmp_path, port=proxy.port, timings=IMPATIENT, attempts=1)
        async with files.session(), aclosing(files.read(file)) as blocks:
            read = await anext(blocks)
            await asyncio.sleep(2 * IMPATIENT.stall_seconds)  # what the consumer does is what is tested here
            assert read + b"".join([block async for block in blocks]) == BIG
        assert proxy.accepted == 1

    async def test_a_server_that_never_says_a_word(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy) -> None:
        proxy.stall()
        files = source(inbox, tmp_path, port=proxy.port, timings=replace(IMPATIENT, connect_seconds=0.2))
        with pytest.raises(ConnectionLostError, match=r"no connection to .* in 0\.2 s"):
            async with files.session():
                pass


class TestCancelled:
    """Every wait ends at once, also on a server that answers nothing."""

    @pytest.mark.parametrize("what", ["connecting", "listing", "reading", "looking", "waiting to try again"])
    async def test_at_once(self, inbox: Inbox, tmp_path: Path, proxy: TcpProxy, what: str) -> None:
        file = of(inbox.put("a.bin", BIG))
        files = source(inbox, tmp_path, port=proxy.port, timings=Timings(backoff_seconds=60))

        async def work() -> None:
            if what == "listing":
                await listed(files)
            elif what == "looking":
                await files.stat(file)
            else:
                await content(files, file)

        async def run() -> None:
            async with files.session():
                if what == "waiting to try again":
                    proxy.refuse()
                    proxy.cut()
                elif what != "connecting":
                    proxy.stall()
                waits.set()
                await work()

        waits = asyncio.Event()
        if what == "connecting":
            proxy.stall()
        task = asyncio.ensure_future(run())
        if what != "connecting":
            await waits.wait()
        await asyncio.sleep(0.2)  # into the wait; cancelling sooner would be the easier case
        assert not task.done()
        task.cancel()
        async with asyncio.timeout(60):
            with pytest.raises(asyncio.CancelledError):
                await task
