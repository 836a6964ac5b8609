"""`make audit` on a database of weaknesses that this test is, and on none."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from deploy.supply.audit import Verdict, audit
from deploy.supply.locks import Pin

from tests.support.ports import ReservedPort

FRAGILE, SOUND = Pin("octo-fragile", "1.0"), Pin("octo-sound", "1.0")
WEAKNESS = {
    "id": "OSV-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "it breaks",
    "affected": [{"package": {"ecosystem": "PyPI", "name": FRAGILE.name}, "versions": [FRAGILE.version]}],
}


class Database(BaseHTTPRequestHandler):
    """OSV, as far as uv asks it."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = {"vulns": [{"id": WEAKNESS["id"], "modified": WEAKNESS["modified"]}]}
        self._answer(
            {"results": [known if query["package"]["name"] == FRAGILE.name else {} for query in asked["queries"]]}
        )

    def do_GET(self) -> None:
        self._answer(WEAKNESS)

    def _answer(self, body: Any) -> None:
        payload = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def database() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Database)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[str, ...]:
    """Options by which uv knows both packages, and no index."""
    for pin in (FRAGILE, SOUND):
        stem = f"{pin.name.replace('-', '_')}-{pin.version}"
        with zipfile.ZipFile(tmp_path / f"{stem}-py3-none-any.whl", "w") as wheel:
            about = f"{stem}.dist-info"
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {pin.name}\nVersion: {pin.version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
    return "--no-index", "--find-links", str(tmp_path)


def test_a_known_weakness_is_found(database: str, shelf: tuple[str, ...]) -> None:
    verdict, said = audit([SOUND, FRAGILE], "--service-url", database, *shelf)
    assert verdict is Verdict.FOUND, said
    assert "OSV-2026-1" in said


def test_what_nobody_knows_a_weakness_of_is_clean(database: str, shelf: tuple[str, ...]) -> None:
    verdict, said = audit([SOUND], "--service-url", database, *shelf)
    assert verdict is Verdict.CLEAN, said


def test_without_a_database_it_is_skipped(shelf: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    port = ReservedPort()
    try:
        verdict, said = audit([SOUND], "--service-url", f"http://127.0.0.1:{port.number}/", *shelf)
    finally:
        port.release()
    assert verdict is Verdict.SKIPPED, said


def test_a_package_that_nobody_has_breaks_the_audit(database: str, shelf: tuple[str, ...]) -> None:
    verdict, said = audit([Pin("octo-nowhere", "1.0")], "--service-url", database, *shelf)
    assert verdict is Verdict.BROKEN, said
