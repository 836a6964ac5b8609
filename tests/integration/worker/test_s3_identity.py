"""Workload identity: the sink's keys come from a stand-in of what AWS gives a pod, the store is real."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.model import rfc3339
from octo_worker.failure import Failed
from octo_worker.sinks.parts import FIRST
from tests.integration.worker.s3_sinks import open_sink, store
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket

NO_SECRET: dict[str, str | None] = {"accessKeyId": None, "secretAccessKey": None}


@dataclass(slots=True)
class Authority:
    """Gives out the server's root keys, by the protocol of STS and by that of container credentials."""

    url: str
    asked: list[dict[str, str]] = field(default_factory=list)
    lifetime: timedelta = timedelta(hours=1)
    refuse: int = 0


@contextmanager
def authority() -> Iterator[Authority]:
    given = Authority("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            given.asked.append({name: values[0] for name, values in form.items()})
            if given.refuse:
                token = form["WebIdentityToken"][0]
                self._send(
                    given.refuse,
                    f"<ErrorResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Error><Code>InvalidIdentityToken"
                    f"</Code><Message>bad: {token}</Message></Error></ErrorResponse>",
                )
                return
            self._send(
                200,
                "<AssumeRoleWithWebIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'>"
                f"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId>"
                f"<SecretAccessKey>{SECRET_KEY}</SecretAccessKey>"
                f"<Expiration>{rfc3339(datetime.now(UTC) + given.lifetime)}</Expiration></Credentials>"
                "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
            )

        def do_GET(self) -> None:
            given.asked.append({"Authorization": self.headers.get("Authorization", "")})
            keys = {
                "AccessKeyId": ACCESS_KEY,
                "SecretAccessKey": SECRET_KEY,
                "Token": "",
                "Expiration": rfc3339(datetime.now(UTC) + given.lifetime),
            }
            self._send(200, json.dumps(keys))

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        given.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield given
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A pod with no identity at all."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return monkeypatch


@pytest.fixture
def token(pod: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A mounted web identity token."""
    token = tmp_path / "token"
    token.write_text("planted-token-1\n")
    pod.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    pod.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/landing")
    return token


def test_a_web_identity_is_exchanged_once(pod: pytest.MonkeyPatch, token: Path, bucket: Bucket, tmp_path: Path) -> None:
    with authority() as sts:
        pod.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        with open_sink(bucket, tmp_path, secrets=NO_SECRET) as sink:
            assert store(sink, "in/small.csv", b"data")
            assert store(sink, "in/large.csv", bytes(FIRST + 1))
            assert sink.facts("in/large.csv") is not None
            assert len(sts.asked) == 1
            assert sts.asked[0] == {
                "Action": "AssumeRoleWithWebIdentity",
                "Version": "2011-06-15",
                "RoleArn": "arn:aws:iam::1:role/landing",
                "RoleSessionName": "octo-worker",
                "WebIdentityToken": "planted-token-1",
            }
    assert bucket.objects() == {"in/small.csv": 4, "in/large.csv": FIRST + 1}


def test_a_web_identity_that_is_refused(pod: pytest.MonkeyPatch, token: Path, bucket: Bucket, tmp_path: Path) -> None:
    with authority() as sts:
        pod.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        for status, category in ((400, Category.AUTH), (503, Category.SINK_UNAVAILABLE)):
            sts.refuse = status
            with open_sink(bucket, tmp_path, secrets=NO_SECRET) as sink, pytest.raises(Failed) as failed:
                store(sink, "in/small.csv", b"data")
            assert failed.value.category is category
            assert "InvalidIdentityToken" in failed.value.detail
            assert "planted" not in str(failed.value)
    token.unlink()
    with open_sink(bucket, tmp_path, secrets=NO_SECRET) as sink, pytest.raises(Failed) as failed:
        store(sink, "in/small.csv", b"data")
    assert failed.value.category is Category.CONFIG


def test_the_identity_of_a_container(pod: pytest.MonkeyPatch, bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "pod-token").write_text("planted-pod-token")
    with authority() as agent:
        pod.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent.url}/v1/credentials")
        pod.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "pod-token"))
        with open_sink(bucket, tmp_path, secrets=NO_SECRET) as sink:
            assert store(sink, "in/small.csv", b"data")
            assert store(sink, "in/large.csv", bytes(FIRST + 1))
        assert agent.asked == [{"Authorization": "planted-pod-token"}]


def test_no_identity_at_all(pod: pytest.MonkeyPatch, bucket: Bucket, tmp_path: Path) -> None:
    with open_sink(bucket, tmp_path, secrets=NO_SECRET) as sink:
        for size in (4, FIRST + 1):
            with pytest.raises(Failed) as failed:
                store(sink, "in/small.csv", bytes(size))
            assert failed.value.category is Category.AUTH
            assert "credentialsSecretRef" in failed.value.detail
