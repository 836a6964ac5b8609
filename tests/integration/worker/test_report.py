"""The report to the api, over real HTTP: what arrives, when it is tried again, and what nobody else gets to see."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from octo_core.domain.report import FileOutcome, FileResult, Report
from octo_core.domain.run import RunIdentity
from octo_core.domain.status import Progress
from octo_worker.report import Reporter
from tests.support.tls import Tls, make_tls
from tests.support.waiting import until

PATIENCE = 240.0
TOKEN = "planted-report-token"
JOB = RunIdentity(
    namespace="octo",
    name="nightly",
    uid="uid-1",
    attempt=2,
    provider="bank",
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
)


@dataclass(slots=True)
class Api:
    """Takes reports as the api would. It answers with ``answers`` first, afterwards with 202."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, str, Report]] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answering: threading.Event = field(default_factory=threading.Event)
    """No request is answered before."""

    @property
    def taken(self) -> list[str]:
        """The paths in all reports that came, in their order."""
        return [row.source_path for _, _, report in self.requests for row in report.files]


@contextmanager
def serving(tls: Tls | None = None) -> Iterator[Api]:
    """An api on loopback."""
    api = Api()
    api.answering.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            report = Report.model_validate_json(body)
            api.requests.append((self.path, self.headers["Authorization"], report))
            api.arrived.release()
            api.answering.wait(PATIENCE)
            status, headers = api.answers.pop(0) if api.answers else (202, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that does not trust us hangs up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        api.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield api
        finally:
            api.answering.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def api() -> Iterator[Api]:
    """An api by plain HTTP, as within a cluster."""
    with serving() as made:
        yield made


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """Where the kubelet puts the token."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def replace(token: Path, text: str) -> None:
    """As the kubelet does from time to time."""
    token.write_text(text)


def reporter(url: str, token: Path, progress: Callable[[], Progress] = Progress) -> Reporter:
    return Reporter(url, JOB, 1, token, progress)


def row(name: str) -> FileResult:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return FileResult(source_path=name, outcome=FileOutcome.STORED, source_size=1, finished_at=now)


async def undelivered(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """What the log says of the first report that was not delivered."""

    async def found() -> logging.LogRecord | None:
        return next((record for record in caplog.records if record.msg == "report not delivered"), None)

    record = await until(found, what="a report that fails")
    assert record is not None
    return record


def assert_silent_about(secret: str, caplog: pytest.LogCaptureFixture) -> None:
    for record in caplog.records:
        assert secret not in f"{record.getMessage()} {record.__dict__}"


async def test_reports_say_who_sends_them_and_carry_the_token_of_the_hour(api: Api, token: Path) -> None:
    done = Progress()
    sender = reporter(f"{api.url}/", token, lambda: done)
    sender.start()
    sender.add(row("/in/one"))
    await asyncio.to_thread(api.arrived.acquire, timeout=PATIENCE)
    replace(token, "a-newer-token\n")
    sender.add(row("/in/two"))
    done = Progress(files_done=2)
    await sender.finish(PATIENCE)
    assert api.taken == ["/in/one", "/in/two"]
    assert {path for path, _, _ in api.requests} == {"/v1/reports/uid-1"}
    assert {bearer for _, bearer, report in api.requests if report.files[:1] == (row("/in/one"),)} == {
        f"Bearer {TOKEN}"
    }
    assert api.requests[-1][1] == "Bearer a-newer-token"
    last = api.requests[-1][2]
    assert (last.attempt, last.shard, last.progress.files_done) == (2, 1, 2)


async def test_a_report_that_is_not_taken_is_sent_again_whole(api: Api, token: Path) -> None:
    api.answers = [(503, {}), (401, {}), (429, {})]
    sender = reporter(api.url, token)
    sender.add(row("/in/one"))
    await sender.finish(PATIENCE)
    assert api.taken == ["/in/one"] * 4


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_api_will_never_take_is_sent_once(
    api: Api, token: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers = [(status, {})]
    sender = reporter(api.url, token)
    sender.add(row("/in/one"))
    await sender.finish(PATIENCE)
    assert api.taken == ["/in/one"]
    assert [record.__dict__["status"] for record in caplog.records if record.msg == "report refused"] == [status]


async def test_what_is_on_its_way_at_the_end_is_not_sent_twice(api: Api, token: Path) -> None:
    """Sent a second time, its older progress could arrive behind the newer."""
    api.answering.clear()
    sender = reporter(api.url, token)
    sender.start()
    sender.add(row("/in/one"))
    await asyncio.to_thread(api.arrived.acquire, timeout=PATIENCE)
    ending = asyncio.ensure_future(sender.finish(PATIENCE))
    await asyncio.sleep(0)
    api.answering.set()
    await ending
    assert api.taken == ["/in/one"]


async def test_an_end_does_not_wait_for_an_api_that_says_nothing(
    api: Api, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.answering.clear()
    sender = reporter(api.url, token)
    sender.add(row("/in/one"))
    # The test holds the answer back until after this has returned.
    await sender.finish(0.1)
    assert any("did not take all of the report" in record.msg for record in caplog.records)


async def test_an_api_that_is_away_is_found_when_it_is_back(token: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving() as gone:
        pass
    sender = reporter(gone.url, token)
    sender.start()
    sender.add(row("/in/one"))
    assert (await undelivered(caplog)).__dict__["why"] == "NewConnectionError"
    await sender.finish(0.1)
    assert any("did not take all of the report" in record.msg for record in caplog.records)


async def test_the_token_follows_no_redirect(token: Path, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving() as other:
        api.answers = [(307, {"Location": f"{other.url}/v1/reports/uid-1"})] * 100
        sender = reporter(api.url, token)
        sender.start()
        sender.add(row("/in/one"))
        assert (await undelivered(caplog)).__dict__["status"] == 307
        await sender.finish(0.1)
        assert other.requests == []


async def test_the_token_goes_to_no_proxy(api: Api, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        sender = reporter(api.url, token)
        sender.add(row("/in/one"))
        await sender.finish(PATIENCE)
        assert (api.taken, proxy.requests) == (["/in/one"], [])


async def test_over_tls_the_api_proves_itself(
    token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tls = make_tls(tmp_path)
    with serving(tls) as api:
        stranger = reporter(api.url, token)
        stranger.start()
        stranger.add(row("/in/one"))
        assert (await undelivered(caplog)).__dict__["why"] == "SSLError"
        await stranger.finish(0.1)
        assert api.requests == []

        monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))
        other_name = reporter(api.url.replace("127.0.0.1", "localhost"), token)
        caplog.clear()
        other_name.start()
        other_name.add(row("/in/one"))
        assert (await undelivered(caplog)).__dict__["why"] == "SSLError"
        await other_name.finish(0.1)
        assert api.requests == []

        sender = reporter(api.url, token)
        sender.add(row("/in/one"))
        await sender.finish(PATIENCE)
        assert api.taken == ["/in/one"]
    assert_silent_about(TOKEN, caplog)


@pytest.mark.parametrize("planted", [f"{TOKEN}\nand-more", f"{TOKEN}\N{SNOWMAN}"])
async def test_a_token_that_cannot_be_sent_is_not_told(
    api: Api, token: Path, planted: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The libraries' errors quote it."""
    caplog.set_level(logging.DEBUG)
    replace(token, planted)
    sender = reporter(api.url, token)
    sender.start()
    sender.add(row("/in/one"))
    await undelivered(caplog)
    assert api.requests == []
    replace(token, TOKEN)
    await sender.finish(PATIENCE)
    assert api.taken == ["/in/one"]
    assert_silent_about(TOKEN, caplog)


async def test_a_token_that_is_not_there_yet(api: Api, token: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    token = token.with_name("later")
    sender = reporter(api.url, token)
    sender.start()
    sender.add(row("/in/one"))
    assert (await undelivered(caplog)).__dict__["why"] == "FileNotFoundError"
    replace(token, TOKEN)
    await sender.finish(PATIENCE)
    assert [bearer for _, bearer, _ in api.requests] == [f"Bearer {TOKEN}"]
