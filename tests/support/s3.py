"""A real S3 server on loopback: versitygw over a folder."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from minio import Minio

from tests.support.ports import free_port, wait_until_listening
from tests.support.tls import Tls

ACCESS_KEY = "octotest"
SECRET_KEY = "planted-s3-secret-key"
_BUILT = Path(__file__).parents[2] / ".octo" / "bin" / "versitygw"


@dataclass(slots=True)
class S3Server:
    """A running server; credentials are those of its root account."""

    port: int
    client: Any
    scheme: str = "http"

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def new_bucket(self) -> Bucket:
        """A new, empty bucket."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.client.make_bucket(name)
        return Bucket(self, name)


@dataclass(slots=True)
class Bucket:
    """A bucket of a test's own."""

    server: S3Server
    name: str

    def objects(self, prefix: str = "") -> dict[str, int]:
        """Key and length of every object below a prefix."""
        found = self.server.client.list_objects(self.name, prefix=prefix, recursive=True)
        return {item.object_name: item.size for item in found}

    def read(self, key: str) -> bytes:
        """The bytes of an object."""
        response = self.server.client.get_object(self.name, key)
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    def metadata(self, key: str) -> dict[str, str]:
        """The user metadata of an object."""
        headers = self.server.client.stat_object(self.name, key).metadata
        start = "x-amz-meta-"
        return {
            name.lower().removeprefix(start): value for name, value in headers.items() if name.lower().startswith(start)
        }

    def tags(self, key: str) -> dict[str, str]:
        """The tags of an object."""
        return dict(self.server.client.get_object_tags(self.name, key) or {})

    def put(self, key: str, data: bytes) -> None:
        """Write an object from outside Octo."""
        self.server.client.put_object(self.name, key, io.BytesIO(data), len(data))

    def open_uploads(self) -> list[str]:
        """Keys of multipart uploads that are neither completed nor aborted."""
        uploads = self.server.client._list_multipart_uploads(self.name).uploads
        return [upload.object_name for upload in uploads]


def s3_binary() -> str:
    """The path of versitygw."""
    named = os.environ.get("OCTO_VERSITYGW")
    if named:
        return named
    found = str(_BUILT) if _BUILT.exists() else shutil.which("versitygw")
    if found is None:
        pytest.fail("no versitygw found: run `make tools`, or set OCTO_VERSITYGW to the binary")
    return found


@contextmanager
def serve_s3(*options: str, tls: Tls | None = None) -> Iterator[S3Server]:
    """A server of one's own, with these options of versitygw."""
    binary = s3_binary()
    folder = Path(tempfile.mkdtemp(prefix="octo-s3-"))
    data, metadata = folder / "data", folder / "metadata"
    data.mkdir()
    metadata.mkdir()
    port = free_port()
    if tls is not None:
        options += ("--cert", str(tls.certificate), "--key", str(tls.key))
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            # A sidecar, as the folder may be on a file system without extended attributes.
            [
                binary,
                "--port",
                f"127.0.0.1:{port}",
                "--quiet",
                *options,
                "posix",
                "--sidecar",
                str(metadata),
                str(data),
            ],
            env={"PATH": os.defpath, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_listening("versitygw", process, port, folder / "server.log")
        http = urllib3.PoolManager(ca_certs=str(tls.authority)) if tls is not None else None
        client = Minio(
            f"127.0.0.1:{port}",
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            secure=tls is not None,
            http_client=http,
        )
        yield S3Server(port, client, "http" if tls is None else "https")
        client._http.clear()
    finally:
        process.terminate()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            # It waits for connections that clients keep open.
            process.kill()
            process.wait(timeout=240)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The server; buckets come from ``bucket``."""
    with serve_s3() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    """An empty bucket."""
    return s3_server.new_bucket()
