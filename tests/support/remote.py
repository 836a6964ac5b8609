"""The other side, in the cluster: a provider's real SFTP server and a real S3 server, in a namespace of their own."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import minio
from deploy.demo.servers import S3_PORT, SFTP_PORT, secret, servers

from tests.support.kubectl import Kubectl, environment, eventually
from tests.support.pgp import PgpKey, gpg
from tests.support.release import PortForward, Release, image_tag
from tests.support.samples import tar

BUCKET = "landing"
ACCESS_KEY, SECRET_KEY = "octo-e2e-access", "octo-e2e-secret"


@dataclass(frozen=True, slots=True)
class Mix:
    """What an upload of all kinds of files should come to."""

    objects: dict[str, bytes]
    files: int
    tampered: int
    signatures: int


@dataclass(frozen=True, slots=True)
class SshKeys:
    """SSH key pairs made for one test session: of the user, of the server, and of another server."""

    folder: Path

    @classmethod
    def make(cls) -> SshKeys:
        """Make them."""
        keys = cls(Path(tempfile.mkdtemp(prefix="octo-ssh-")))
        for name in ("user", "host", "other"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "octo", "-f", str(keys.folder / name))
        return keys

    def text(self, name: str) -> str:
        """A key file's content."""
        return (self.folder / name).read_text()


@dataclass(slots=True)
class Remote:
    """The servers and what lies on them."""

    kubectl: Kubectl
    keys: SshKeys
    pgp: PgpKey
    forward: PortForward
    random: dict[str, dict[str, str]] = field(default_factory=dict)

    @staticmethod
    def image() -> str:
        """An image that every cluster under test has, with a shell and coreutils."""
        return f"octo/demo:{image_tag()}"

    # ---- the provider's files ----------------------------------------------------------------------

    def encode(self, path: str, plain: bytes) -> bytes:
        """The bytes on the server for a file of this name: compressed and encrypted as its endings say."""
        body = plain
        if ".gz" in path and ".tar." not in path:
            body = gzip.compress(body, mtime=0)
        if path.endswith(".gpg"):
            body = self.pgp.encrypt(body)
        return body

    def upload(self, folder: str, files: dict[str, bytes]) -> None:
        """Put files below /data/FOLDER, encoded by their names."""
        self.upload_raw(folder, {path: self.encode(path, plain) for path, plain in files.items()})

    def upload_raw(self, folder: str, files: dict[str, bytes]) -> None:
        """Put files below /data/FOLDER as they are."""
        archive = tar({f"{folder}/{path}": body for path, body in files.items()})
        _run_kubectl(self.kubectl, archive, "exec", "-i", "deploy/sftp", "--", "tar", "-x", "-f", "-", "-C", "/data")

    def upload_mix(self, folder: str) -> Mix:
        """Every kind of file that Octo knows, a signature to skip, and a tampered one."""
        report = b"id,amount\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(20_000))
        members = {"eu/prices.csv": report[:5_000], "us/prices.csv": report[:9_000], "readme.txt": b"hello\n"}
        archive = gzip.compress(tar(members), mtime=0)
        tampered = bytearray(self.encode("bad.csv.gz.gpg", report))
        tampered[len(tampered) // 2] ^= 1
        self.upload(
            folder,
            {
                "daily/one.csv.gz.gpg": report,
                "daily/two.csv.gpg": report[:100],
                "daily/empty.csv.gz.gpg": b"",
                "trades.xml.gpg": b"<trades/>",
                "terms.pdf": b"%PDF-1.4 terms",
                "config.json.gz": b'{"a": 1}',
                "archive.tar.gz.gpg": archive,
            },
        )
        self.upload_raw(
            folder,
            {
                "plain.tar.gz": archive,
                "daily/one.csv.gz.gpg.sig": b"signature",
                "daily/bad.csv.gz.gpg": bytes(tampered),
            },
        )
        objects = {
            "csv/daily/one.csv": report,
            "csv/daily/two.csv": report[:100],
            "csv/daily/empty.csv": b"",
            "xml/trades.xml": b"<trades/>",
            "pdf/terms.pdf": b"%PDF-1.4 terms",
            "json/config.json": b'{"a": 1}',
        }
        for stem in ("archive", "plain"):
            objects[f"csv/{stem}/eu/prices.csv"] = members["eu/prices.csv"]
            objects[f"csv/{stem}/us/prices.csv"] = members["us/prices.csv"]
            objects[f"other/{stem}/readme.txt"] = members["readme.txt"]
        return Mix(objects, files=8, tampered=1, signatures=1)

    def upload_random(self, folder: str, *, files: int, size: int) -> None:
        """Put encrypted files of incompressible bytes, made on the server; their digests are kept here."""
        self.kubectl("cp", str(self._public_key()), f"{self._sftp_pod()}:/tmp/public.asc")
        script = f"""
            set -e; export GNUPGHOME=/tmp/gnupg-$$; mkdir -m 700 $GNUPGHOME
            gpg --batch --quiet --import /tmp/public.asc
            mkdir -p /data/{folder}; cd /data/{folder}
            for n in $(seq {files}); do
              head -c {size} /dev/urandom >/tmp/plain
              echo "big$n.bin $(sha256sum </tmp/plain)"
              gpg --batch --quiet --trust-model always -z 0 --recipient {self.pgp.user} \\
                --output big$n.bin.gpg --encrypt /tmp/plain
            done; rm -rf /tmp/plain $GNUPGHOME"""
        printed = self.kubectl("exec", "deploy/sftp", "--", "sh", "-c", script, timeout=300)
        self.random[folder] = {line.split()[0]: line.split()[1] for line in printed.splitlines()}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The sessions that the SFTP server has stand still until the end of the block; new ones begin as ever."""
        self.kubectl("exec", "deploy/sftp", "--", "pkill", "-STOP", "-P", "1")
        try:
            yield
        finally:
            # Those whose client was killed are gone by now, or go.
            self.kubectl("exec", "deploy/sftp", "--", "sh", "-c", "pkill -CONT -P 1 || true")

    def random_paths(self, folder: str) -> list[str]:
        """Their paths as rows tell them."""
        return [f"/data/{folder}/{name}.gpg" for name in self.random[folder]]

    def random_digests(self, folder: str) -> dict[str, str]:
        """SHA-256 of each object that should come of them, by key."""
        return {f"{folder}/data/other/{name}": digest for name, digest in self.random[folder].items()}

    def _public_key(self) -> Path:
        path = self.keys.folder / "public.asc"
        if not path.exists():
            path.write_bytes(gpg(self.pgp.home, b"", "--armor", "--export", self.pgp.user))
        return path

    def _sftp_pod(self) -> str:
        pods = self.kubectl.json("get", "pods", "-l", "app=sftp")["items"]
        return str(pods[0]["metadata"]["name"])

    # ---- OctoProviders for them ----------------------------------------------------------------------

    def provider_object(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """An OctoProvider."""
        return {"apiVersion": "octo.dev/v1alpha1", "kind": "OctoProvider", "metadata": {"name": name}, "spec": spec}

    def provider(self, octo: Release, name: str, *, host_key: str | None = None, **spec: Any) -> None:
        """An OctoProvider for the files below /data/NAME, that lands them under the prefix NAME."""
        host = f"sftp.{self.kubectl.namespace}.svc"
        key = host_key or self.keys.text("host.pub")
        secret = {"name": "remote-openpgp"}
        octo.kubectl.apply(
            self.provider_object(
                name,
                {
                    "source": {
                        "sftp": {
                            "host": host,
                            "port": SFTP_PORT,
                            "username": "octo",
                            "paths": [f"/data/{name}"],
                            "credentialsSecretRef": {"name": "remote-sftp"},
                            "hostKeys": [f"[{host}]:{SFTP_PORT} {' '.join(key.split()[:2])}"],
                        }
                    },
                    "decrypt": {
                        "openpgp": {
                            "keySecretRef": {**secret, "key": "privateKey"},
                            "passphraseSecretRef": {**secret, "key": "passphrase"},
                        }
                    },
                    "destination": {
                        "s3": {
                            "bucket": BUCKET,
                            "prefix": name,
                            "endpoint": f"http://s3.{self.kubectl.namespace}.svc:{S3_PORT}",
                            "pathStyle": True,
                            "credentialsSecretRef": {"name": "remote-s3"},
                        }
                    },
                    **spec,
                },
            )
        )

    def other_host_key(self) -> str:
        """A host key that the server does not have."""
        return self.keys.text("other.pub")

    # ---- what arrived --------------------------------------------------------------------------------

    def s3(self) -> minio.Minio:
        """A client of the S3 server."""
        return minio.Minio(
            endpoint=f"127.0.0.1:{self.forward.port()}", access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False
        )

    def versions(self, prefix: str) -> dict[str, str]:
        """Each object's key, and what changes when it is written again."""
        listed = self.s3().list_objects(bucket_name=BUCKET, prefix=prefix, recursive=True)
        return {str(item.object_name): f"{item.etag} {item.last_modified}" for item in listed}

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Each object's key and content."""
        return {key: self._read(key) for key in self.versions(prefix)}

    def digests(self, prefix: str) -> dict[str, str]:
        """Each object's key and SHA-256."""
        return {key: hashlib.sha256(self._read(key)).hexdigest() for key in self.versions(prefix)}

    def object(self, uri: str) -> bytes:
        """The object of an ``s3://bucket/key``."""
        assert uri.startswith(f"s3://{BUCKET}/")
        return self._read(uri.removeprefix(f"s3://{BUCKET}/"))

    def open_uploads(self, prefix: str) -> list[str]:
        """Keys of multipart uploads that were neither completed nor aborted."""
        answer = self.s3()._list_multipart_uploads(bucket_name=BUCKET, prefix=f"{prefix}/")
        return [str(upload.object_name) for upload in answer.uploads]

    def _read(self, key: str) -> bytes:
        answer = self.s3().get_object(bucket_name=BUCKET, object_name=key)
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()


def _run(*command: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def _run_kubectl(kubectl: Kubectl, stdin: bytes, *args: str) -> None:
    done = subprocess.run(
        ["kubectl", "-n", kubectl.namespace, *args], env=environment(), input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")


@contextmanager
def remote_servers(octo: Release, pgp: PgpKey) -> Iterator[Remote]:
    """Start both servers and put the credentials for them where Octo's providers look for them."""
    kubectl = Kubectl(f"{octo.kubectl.namespace}-remote")
    if kubectl.exists("namespace", kubectl.namespace):
        kubectl("delete", "namespace", kubectl.namespace, "--timeout=240s")
    kubectl("create", "namespace", kubectl.namespace)
    kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
    keys = SshKeys.make()
    kubectl.apply(
        *servers(
            kubectl.namespace,
            Remote.image(),
            sftp_keys={"host_key": keys.text("host"), "authorized_keys": keys.text("user.pub")},
            s3_keys={"access-key": ACCESS_KEY, "secret-key": SECRET_KEY},
            bucket=BUCKET,
            generation="1",
        )
    )
    space = octo.kubectl.namespace
    octo.kubectl.apply(
        secret(space, "remote-sftp", {"privateKey": keys.text("user")}),
        secret(space, "remote-openpgp", {"privateKey": pgp.private.decode(), "passphrase": pgp.passphrase}),
        secret(space, "remote-s3", {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY}),
    )
    for name in ("sftp", "s3"):
        kubectl("rollout", "status", f"deployment/{name}", "--timeout=240s")
    remote = Remote(kubectl, keys, pgp, PortForward(kubectl, "service/s3", S3_PORT))
    eventually(lambda: remote.s3().bucket_exists(bucket_name=BUCKET), within=240, what="the bucket")
    try:
        yield remote
    finally:
        remote.forward.close()
        shutil.rmtree(keys.folder)
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")
