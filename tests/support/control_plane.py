"""A bare Kubernetes control plane as processes on loopback: etcd, kube-apiserver, kube-controller-manager.

It has no nodes: pods stay Pending until a test says what becomes of them, or starts ``tests.support.node``. A few
seconds to start, some 400 MB; any number of them run side by side, and each part can be killed and started again.

    with control_plane(tmp_path) as plane:
        plane.install_crds()
        plane.kubectl("octo")("get", "octojobs")
        plane.apiserver.kill()
        plane.apiserver.start()
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import shutil
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.kubectl import ROOT, Kubectl, eventually
from tests.support.ports import ReservedPort
from tests.support.program import Program
from tests.support.tls import Tls, make_tls

Raw = dict[str, Any]
BINARIES = ROOT / ".octo" / "bin"
CONTROLLERS = (
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "pod-garbage-collector-controller",
    "ttl-after-finished-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The running parts and the way to them."""

    etcd: Program
    apiserver: Program
    controller_manager: Program
    etcd_url: str
    url: str
    """Of the API server."""
    token: str
    """Of a cluster administrator."""
    authority: Path
    folder: Path
    _compacted: list[str] = field(default_factory=list)
    """Keys created before etcd's history begins."""
    _begins: list[int] = field(default_factory=lambda: [1])
    """The first revision of it."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "admin.kubeconfig"

    def kubectl(self, namespace: str) -> Kubectl:
        """kubectl as the administrator."""
        return Kubectl(namespace, self.kubeconfig)

    def write_kubeconfig(self, path: Path, *, token: str | None = None, url: str | None = None) -> Path:
        """A kubeconfig for a token and an address, where they differ from the administrator's."""
        named = {"name": "plane"}
        cluster: Raw = {"server": url or self.url}
        if cluster["server"].startswith("https:"):
            cluster["certificate-authority"] = str(self.authority)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "plane",
            "clusters": [{**named, "cluster": cluster}],
            "users": [{**named, "user": {"token": token or self.token}}],
            "contexts": [{**named, "context": {"cluster": "plane", "user": "plane"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def install_crds(self) -> None:
        """Octo's custom resources; returns once they are served."""
        kubectl = self.kubectl("default")
        kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        self.await_crds()

    def await_crds(self) -> None:
        """Return once all custom resources that are defined are served."""
        eventually(lambda: _served(self.kubectl("default")), what="the custom resources are served")

    def created(self, prefix: str) -> list[str]:
        """Every key below ``/registry/<prefix>`` that was ever created, as often as it was, deleted since or not:
        etcd's own history, which this control plane never compacts by itself, and what ``compact`` kept of it."""
        below = f"/registry/{prefix}"
        keys, _ = self._history()
        return [key.removeprefix(below) for key in (*self._compacted, *keys) if key.startswith(below)]

    def compact(self) -> None:
        """Forget etcd's history up to now, so that a watch from an earlier version is answered 410 Gone once the
        API server's own memory has gone too. What was created is remembered here."""
        keys, revision = self._history()
        _etcd(self.etcd_url, "kv/compaction", {"revision": str(revision)})
        self._compacted.extend(keys)
        self._begins[0] = revision + 1

    def _history(self) -> tuple[list[str], int]:
        """The keys created since etcd's history begins, and the revision up to which that is."""
        marker = f"/registry/~{secrets.token_hex(8)}"
        _etcd(self.etcd_url, "kv/put", {"key": _base64(marker), "value": ""})
        whole = {"key": _base64("/registry/"), "range_end": _base64("/registry0"), "filters": ["NODELETE"]}
        request = {**whole, "start_revision": str(self._begins[0])}
        keys: list[str] = []
        for answer in _etcd_stream(self.etcd_url, "watch", {"create_request": request}):
            assert not answer.get("canceled"), f"the history is not whole: {answer}"
            for event in answer.get("events", ()):
                entry = event["kv"]
                key = base64.b64decode(entry["key"]).decode()
                if key == marker:
                    return keys, int(entry["mod_revision"])
                if entry["create_revision"] == entry["mod_revision"]:
                    keys.append(key)
        raise AssertionError("the history has no end")

    def stop(self) -> None:
        """End all parts."""
        for part in (self.controller_manager, self.apiserver, self.etcd):
            part.kill()


@contextmanager
def control_plane(folder: Path, *arguments: str, durable: bool = False) -> Iterator[ControlPlane]:
    """Start one whose files lie in ``folder``; ``arguments`` are more of kube-apiserver's. Fails where a binary of
    `make tools` is missing. A ``durable`` one has each write on the disk before it answers, as in production."""
    for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
        if not (BINARIES / name).exists():
            pytest.fail(f"no {name} in .octo/bin; run `make tools`, or `deploy/tools.sh kube`")
    ports = [ReservedPort() for _ in range(4)]
    try:
        plane = _make(folder, [port.number for port in ports], arguments, durable=durable)
        try:
            plane.etcd.start()
            plane.apiserver.start()
            plane.controller_manager.start()
            yield plane
        finally:
            plane.stop()
    finally:
        for port in ports:
            port.release()


def _served(kubectl: Kubectl) -> bool:
    """Whether each definition is established. `kubectl wait` fails on one that has no condition at all yet."""
    found = kubectl.json("get", "crd")["items"]
    return all(
        any(c["type"] == "Established" and c["status"] == "True" for c in raw.get("status", {}).get("conditions") or ())
        for raw in found
    )


def _make(folder: Path, ports: list[int], arguments: tuple[str, ...], *, durable: bool) -> ControlPlane:
    etcd_port, peer_port, port, manager_port = ports
    tls, token = make_tls(folder), secrets.token_hex(16)
    tokens, key = folder / "tokens.csv", folder / "service-accounts.pem"
    tokens.write_text(f'{token},admin,admin,"system:masters"\n')
    key.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    etcd_url, peer_url, url = (
        f"http://127.0.0.1:{etcd_port}",
        f"http://127.0.0.1:{peer_port}",
        f"https://127.0.0.1:{port}",
    )
    context = ssl.create_default_context(cafile=str(tls.authority))

    def serves_etcd() -> bool:
        return _answers(http.client.HTTPConnection("127.0.0.1", etcd_port, timeout=5), "/health", {})

    def serves_api() -> bool:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
        return _answers(connection, "/readyz", {"Authorization": f"Bearer {token}"})

    def serves_manager() -> bool:
        plain = ssl.create_default_context()
        plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
        return _answers(
            http.client.HTTPSConnection("127.0.0.1", manager_port, timeout=5, context=plain), "/healthz", {}
        )

    plane = ControlPlane(
        etcd=Program(
            "etcd",
            _etcd_command(folder, etcd_url, peer_url, durable=durable),
            log=folder / "etcd.log",
            ready=serves_etcd,
        ),
        apiserver=Program(
            "kube-apiserver",
            [*_apiserver_command(folder, etcd_url, port, tls, tokens, key), *arguments],
            log=folder / "apiserver.log",
            ready=serves_api,
        ),
        controller_manager=Program(
            "kube-controller-manager",
            _manager_command(folder, manager_port, tls, key),
            log=folder / "controller-manager.log",
            ready=serves_manager,
        ),
        etcd_url=etcd_url,
        url=url,
        token=token,
        authority=tls.authority,
        folder=folder,
    )
    plane.write_kubeconfig(plane.kubeconfig)
    return plane


def _etcd_command(folder: Path, url: str, peer_url: str, *, durable: bool) -> list[str]:
    return [
        *(str(BINARIES / "etcd"), "--name", "plane", "--data-dir", str(folder / "etcd")),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", f"plane={peer_url}", "--log-level", "error"),
        # The page cache outlives the process, and no test pulls the machine's plug.
        *(() if durable else ("--unsafe-no-fsync",)),
    ]


def _apiserver_command(folder: Path, etcd_url: str, port: int, tls: Tls, tokens: Path, key: Path) -> list[str]:
    issuer = "https://kubernetes.default.svc"
    return [
        *(str(BINARIES / "kube-apiserver"), "--etcd-servers", etcd_url, "--etcd-compaction-interval", "0"),
        *("--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(port)),
        *("--endpoint-reconciler-type", "none", "--service-cluster-ip-range", "10.96.0.0/24"),
        *("--tls-cert-file", str(tls.certificate), "--tls-private-key-file", str(tls.key)),
        *("--cert-dir", str(folder / "apiserver"), "--token-auth-file", str(tokens)),
        *("--service-account-issuer", issuer, "--api-audiences", issuer),
        *("--service-account-key-file", str(key), "--service-account-signing-key-file", str(key)),
        *("--authorization-mode", "RBAC", "--enable-admission-plugins", "PodSecurity"),
        *("--shutdown-delay-duration", "0s", "--profiling=false"),
    ]


def _manager_command(folder: Path, port: int, tls: Tls, key: Path) -> list[str]:
    config = str(folder / "admin.kubeconfig")
    return [
        *(str(BINARIES / "kube-controller-manager"), "--bind-address", "127.0.0.1", "--secure-port", str(port)),
        *("--kubeconfig", config, "--authentication-kubeconfig", config, "--authorization-kubeconfig", config),
        *("--cert-dir", str(folder / "controller-manager"), "--root-ca-file", str(tls.authority)),
        *("--service-account-private-key-file", str(key), "--leader-elect=false", "--profiling=false"),
        *("--controllers", ",".join(CONTROLLERS), "--kube-api-qps", "500", "--kube-api-burst", "1000"),
        *("--concurrent-job-syncs", "20", "--concurrent-gc-syncs", "10"),
    ]


def _answers(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bool:
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _etcd(url: str, call: str, body: Raw) -> Raw:
    """One call of etcd's JSON gateway."""
    request = urllib.request.Request(f"{url}/v3/{call}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: Raw = json.load(answer)
        return found


def _etcd_stream(url: str, call: str, body: Raw) -> Iterator[Raw]:
    """The answers of a call that goes on for ever."""
    request = urllib.request.Request(f"{url}/v3/{call}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answers:
        for line in answers:
            yield json.loads(line)["result"]


@pytest.fixture(scope="session")
def bare_control_plane() -> Iterator[ControlPlane]:
    """One for all tests of the session, with Octo's custom resources; each test takes a namespace of its own."""
    folder = Path(tempfile.mkdtemp(prefix="octo-plane-"))
    try:
        with control_plane(folder) as plane:
            plane.install_crds()
            yield plane
    finally:
        shutil.rmtree(folder, ignore_errors=True)
