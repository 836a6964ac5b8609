"""How the console's page and files are sent."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from octo_api.console.assets import MEDIA_TYPES, assets_of, load
from octo_api.console.headers import security_headers
from octo_api.settings import ApiSettings
from tests.unit.octo_api.test_routes import APP, make_app

ASSETS = load()
BASE = f"/console/assets/{ASSETS.version}"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://api") as made:
        yield made


async def test_the_page_names_its_files_by_their_version(client: httpx.AsyncClient) -> None:
    page = await client.get("/console/")
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-cache")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 4
    for path in named:
        assert path.startswith(f"assets/{ASSETS.version}/")
        answer = await client.get(f"/console/{path}")
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    # Scripts and styles stand in files alone.
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", page.text)


@pytest.mark.parametrize("path", sorted(ASSETS.files))
async def test_each_file_is_sent_plain_and_packed(client: httpx.AsyncClient, path: str) -> None:
    plain = await client.get(f"{BASE}/{path}", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    async with client.stream("GET", f"{BASE}/{path}", headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join([piece async for piece in packed.aiter_raw()])
    assert gzip.decompress(raw) == plain.content
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["X-Content-Type-Options"] == "nosniff"
    assert plain.headers["Content-Type"] == MEDIA_TYPES[path[path.rindex(".") :]]
    again = await client.get(
        f"{BASE}/{path}", headers={"If-None-Match": packed.headers["ETag"], "Accept-Encoding": "gzip"}
    )
    assert (again.status_code, again.content) == (304, b"")
    other = await client.get(f"{BASE}/{path}", headers={"If-None-Match": packed.headers["ETag"], "Accept-Encoding": ""})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/console/", f"{BASE}/main.js", "/console/config.json"])
async def test_head_tells_what_get_would(client: httpx.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert head.status_code == 200
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Content-Security-Policy"):
        assert head.headers.get(name) == get.headers.get(name)


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for path in ("nothing.js", "../assets.py", "..%2Fassets.py", "index.html", ""):
        assert (await client.get(f"{BASE}/{path}")).status_code == 404
    # A page of the version before gets files, which nobody keeps under its name.
    assert (await client.get("/console/assets/older/main.js")).headers["Cache-Control"] == "no-store"
    entrance = await client.get("/console")
    assert (entrance.status_code, entrance.headers["Location"]) == (308, "console/")


async def test_the_page_may_run_its_own_scripts_alone_and_ask_its_own_server(client: httpx.AsyncClient) -> None:
    for path in ("/console/", "/console/config.json", f"{BASE}/main.js"):
        headers = (await client.get(path)).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in str(policy)
        assert headers["Referrer-Policy"] == "no-referrer"


def test_an_issuer_is_the_only_other_server_it_may_ask() -> None:
    policy = security_headers(["https://id.example/realms/x", "https://token.example:8443"])["Content-Security-Policy"]
    assert "connect-src 'self' https://id.example https://token.example:8443;" in policy


async def test_it_can_be_left_out_and_signs_in_as_it_is_told() -> None:
    async def config(**settings: object) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(**settings)), base_url="http://api") as one:
            return await one.get("/console/config.json")

    assert (await config(console_enabled=False)).status_code == 404
    with_issuer = await config(
        oidc_issuer="https://id.example", oidc_audience="console", console_oidc_client_id="console"
    )
    assert with_issuer.json()["oidc"] == {
        "issuer": "https://id.example",
        "clientId": "console",
        "scope": "openid profile email",
    }
    assert "https://id.example" in with_issuer.headers["Content-Security-Policy"]


def test_a_client_that_its_tokens_are_not_made_for_is_refused() -> None:
    with pytest.raises(ValidationError, match="console_oidc_client_id"):
        ApiSettings(
            database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
            api_key_pepper=SecretStr("p" * 32),
            token_signing_key=SecretStr("s" * 32),
            oidc_issuer="https://id.example",
            oidc_audience="another",
            console_oidc_client_id="console",
        )


def test_any_change_of_any_file_is_another_version() -> None:
    files = {"index.html": b"<script src={{assets}}/a.js>", "a.js": b"1", "b/c.css": b"2"}
    version = assets_of(files).version
    assert assets_of(files).index.plain == f"<script src=assets/{version}/a.js>".encode()
    for change in ({**files, "a.js": b"2"}, {**files, "d.js": b""}, {"index.html": b"", "a.js": b"1"}):
        assert assets_of(change).version != version


def test_no_file_names_another_server_or_makes_markup_of_text() -> None:
    for path, asset in ASSETS.files.items():
        text = asset.plain.decode()
        # The name of a vocabulary; nothing is asked there.
        assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}, path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), path
