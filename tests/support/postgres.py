"""A real Postgres on loopback for the session, with a fresh, migrated database for each test."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from octo_core.db.migrate import upgrade
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.support.ports import ReservedPort


@dataclass(slots=True)
class PostgresServer:
    """A Postgres that a test may stop and start."""

    binaries: Path
    data: Path
    port: int
    durable: bool = False
    """Whether a commit is on the disk when it is told, as in production; tests pull no plug and do without."""
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Connection URL of a database; the superuser needs no password on this socket-less loopback."""
        return f"postgresql://octo@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start and wait until it answers."""
        with (self.data.parent / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *_as_postgres(),
                    str(self.binaries / "postgres"),
                    *("-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
                    *("-c", f"fsync={'on' if self.durable else 'off'}"),
                    *("-c", "log_min_messages=warning", "-c", "max_connections=100"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + 120
        while subprocess.run(
            [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        ).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Postgres did not start: {(self.data.parent / 'postgres.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, cutting all connections, as a crash of its pod would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=240)

    def kill(self) -> None:
        """SIGKILL all of it at one moment, which no clean-up survives."""
        if self.process is None:
            return
        # Held still first, so that it makes no child that nobody knows of.
        os.kill(self.process.pid, signal.SIGSTOP)
        _until(self.process.pid, "T")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=240)
        # The next one does not start while one of them has the memory that they shared.
        for pid in map(int, children):
            _until(pid, "ZX")


def _until(pid: int, states: str) -> None:
    """Wait until a process is in one of these states of proc(5), or gone."""
    deadline = time.monotonic() + 240
    with suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in states:
            assert time.monotonic() < deadline, f"process {pid} is not in state {states}"
            time.sleep(0.005)


def _as_postgres() -> list[str]:
    """Postgres refuses to run as root; and it is to end with this process, whatever ends that."""
    account = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig", "KILL", *account]


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path is None:
        pytest.fail("no Postgres server found: run `make tools`, or install Debian's package postgresql")
    return Path(on_path).resolve().parent


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A server of one's own, with nothing in it."""
    folder = Path(tempfile.mkdtemp(prefix="octo-postgres-"))
    binaries = _binaries()
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        os.chown(data, account.pw_uid, account.pw_gid)
    subprocess.run(
        [*_as_postgres(), str(binaries / "initdb"), "-D", str(data), "-U", "octo", "-A", "trust", "-E", "UTF8", "-N"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    port = ReservedPort()
    server = PostgresServer(binaries, data, port.number, durable)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        port.release()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server; databases come from ``database_settings``."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def _template(postgres: PostgresServer) -> str:
    async def make() -> None:
        connection = await asyncpg.connect(postgres.url("postgres"))
        await connection.execute("CREATE DATABASE octo_template")
        await connection.close()
        await upgrade(DatabaseSettings(database_url=SecretStr(postgres.url("octo_template"))))

    asyncio.run(make())
    return "octo_template"


@pytest.fixture
async def database_settings(postgres: PostgresServer, _template: str) -> DatabaseSettings:
    """Settings of a database of one's own, with the newest schema."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_template}")
    await connection.close()
    return DatabaseSettings(database_url=SecretStr(postgres.url(name)))


@pytest.fixture
async def database(database_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Sessions on that database."""
    database = Database(database_settings, application_name="test")
    yield database
    await database.close()
