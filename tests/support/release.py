"""Octo installed by its chart in a namespace of the tests, seen as its users see it."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from deploy.demo.install import skip_crds

from tests.support.kubectl import ROOT, Kubectl, KubectlError, environment, eventually

RELEASE = "octo"
CHART = ROOT / "charts" / "octo"
TERMINAL = ("Succeeded", "Failed", "Cancelled")


class PortForward:
    """``kubectl port-forward`` that is started again when its pod goes away."""

    def __init__(self, kubectl: Kubectl, target: str, port: int) -> None:
        self._kubectl, self._target, self._remote = kubectl, target, port
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def port(self) -> int:
        """The port on loopback; raises AssertionError while nothing can be forwarded."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                ["kubectl", "-n", self._kubectl.namespace, "port-forward", self._target, f":{self._remote}"],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, f"cannot forward {self._target}: {line}"
            self._port = int(found[1])
        return self._port

    def close(self) -> None:
        """Stop forwarding."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


class Tunnel(httpx.BaseTransport):
    """The way of an HTTP client to what is forwarded, whatever its port is by now."""

    def __init__(self, forward: PortForward) -> None:
        self._forward = forward
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request there; raises httpx.TransportError while nothing can be forwarded."""
        try:
            port = self._forward.port()
        except AssertionError as error:
            raise httpx.ConnectError(str(error)) from error
        request.url = request.url.copy_with(host="127.0.0.1", port=port)
        try:
            return self._inner.handle_request(request)
        except httpx.TransportError:
            self._forward.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


@dataclass(slots=True)
class Release:
    """One installation: its namespace, its REST API with the first API key, and its Postgres."""

    kubectl: Kubectl
    api_key: str = field(repr=False)
    forward: PortForward
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=120))

    def request(self, method: str, path: str, *, key: str | None = "", **more: Any) -> httpx.Response:
        """One request with the first API key, another ``key``, or None. Tries again if the tunnel broke."""
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers["X-API-Key"] = key or self.api_key

        def attempt() -> list[httpx.Response]:
            try:
                url = f"http://127.0.0.1:{self.forward.port()}{path}"
                return [self.http.request(method, url, headers=headers, **more)]
            except httpx.TransportError as error:
                self.forward.close()
                raise AssertionError(f"{method} {path}: {error!r}") from error

        return eventually(attempt, within=240, what="an answer of the api")[0]

    def post_job(self, provider: str, **spec: Any) -> dict[str, Any]:
        """Create a job with a fresh Idempotency-Key; returns its representation."""
        answer = self.request(
            "POST",
            "/v1/jobs",
            json={"provider": provider, **spec},
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, uid: str) -> dict[str, Any]:
        """The job over REST."""
        answer = self.request("GET", f"/v1/jobs/{uid}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def files(self, uid: str) -> list[dict[str, Any]]:
        """All its rows over REST, page by page."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = {"limit": "100", **({"cursor": cursor} if cursor else {})}
            answer = self.request("GET", f"/v1/jobs/{uid}/files", params=query)
            assert answer.status_code == 200, answer.text
            rows += answer.json()["items"]
            cursor = answer.json().get("nextCursor") or ""
            if not cursor:
                return rows

    def octojob(self, name: str) -> dict[str, Any]:
        """The custom resource."""
        raw: dict[str, Any] = self.kubectl.json("get", "octojob", name)
        return raw

    def state(self, name: str) -> str:
        """The State column; empty before the first visit."""
        return str(self.octojob(name).get("status", {}).get("state", ""))

    def wait_state(self, name: str, *states: str, within: float = 240) -> dict[str, Any]:
        """Wait until the custom resource is in one of the states; fails at once in another terminal one.

        What REST shows may be a moment behind it: ``assert_agreed`` waits for that.
        """

        def reached() -> dict[str, Any] | None:
            raw = self.octojob(name)
            state = raw.get("status", {}).get("state", "")
            if state in states:
                return raw
            if state in TERMINAL:
                raise RuntimeError(f"{name} ended {state}: {json.dumps(raw['status'], indent=1)}")
            return None

        found = eventually(reached, within=within, what=f"{name} in {'/'.join(states)}")
        assert found is not None
        return found

    def execute(self, statement: str) -> str:
        """Run a statement in Octo's Postgres; returns what psql printed."""
        command = (
            'PGPASSWORD="$(cat /run/secrets/postgres/password)" exec psql -h 127.0.0.1 -U octo -d octo -At -v'
            ' ON_ERROR_STOP=1 -c "$0"'
        )
        return self.kubectl("exec", "octo-postgres-0", "--", "sh", "-c", command, statement)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query in Octo's Postgres, as JSON objects."""
        rows: list[dict[str, Any]] = json.loads(self.execute(f"SELECT coalesce(json_agg(q), '[]') FROM ({query}) q"))
        return rows

    def row(self, uid: str) -> dict[str, Any]:
        """The job's row in Postgres; an AssertionError while there is none."""
        rows = self.sql(f"SELECT * FROM jobs WHERE uid = '{uid}'")
        assert rows, f"no row for {uid}"
        return rows[0]

    def assert_agreed(self, name: str, uid: str, *, within: float = 240) -> dict[str, Any]:
        """Custom resource, Postgres and REST say the same; returns the custom resource's status."""

        def agree() -> dict[str, Any]:
            raw = self.octojob(name)
            status: dict[str, Any] = raw["status"]
            row, rest = self.row(uid), self.job(uid)
            assert raw["metadata"]["uid"] == uid
            assert row["state"] == rest["state"] == status["state"]
            assert row["attempt"] == rest["attempt"] == status.get("attempt", 0)
            assert row["failure_category"] == status.get("failure", {}).get("category")
            assert (rest.get("failure") or {}).get("category") == status.get("failure", {}).get("category")
            assert row["status"] == status
            assert int(row["resource_version"]) == int(raw["metadata"]["resourceVersion"])
            assert (rest.get("progress") or {}) == status.get("progress", {})
            return status

        return eventually(agree, within=within, what="cluster, Postgres and REST to agree")

    def pods_of(self, name: str) -> list[dict[str, Any]]:
        """Pods of a job that have not ended."""
        pods = self.kubectl.json("get", "pods", "-l", f"octo.dev/job-name={name}")["items"]
        return [pod for pod in pods if pod["status"]["phase"] not in ("Succeeded", "Failed")]

    def close(self) -> None:
        """Give back the connections and the tunnel."""
        self.http.close()
        self.forward.close()

    def kill(self, component: str) -> None:
        """SIGKILL a Deployment's processes; where they are out of reach, delete its pods by force."""
        selector = f"app.kubernetes.io/component={component}"
        if not sigkill(self.kubectl.json("get", "pods", "-l", selector)["items"], f"octo-{component}"):
            self.kubectl("delete", "pod", "-l", selector, "--grace-period=0", "--force")


def sigkill(pods: list[dict[str, Any]], program: str) -> bool:
    """SIGKILL a program in these pods; False if they do not run on this machine (the project's own cluster does)."""
    killed = False
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The cgroup's path has the pod's uid, with underscores under some cgroup drivers.
            cgroup, command = (folder / "cgroup").read_text().replace("_", "-"), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if program.encode() in command and any(pod["metadata"]["uid"] in cgroup for pod in pods):
            os.kill(int(folder.name), signal.SIGKILL)
            killed = True
    return killed


def helm(*args: str, timeout: float = 300) -> str:
    """Run helm; raises AssertionError with what it complained of."""
    done = subprocess.run(
        ["helm", *args], env=environment(), capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise KubectlError(f"helm {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


def installing(namespace: str, tag: str, *, chart: Path = CHART) -> tuple[str, ...]:
    """The arguments of helm, but for its verb, by which a chart with its embedded Postgres comes into a namespace."""
    return (
        *(RELEASE, str(chart), "--namespace", namespace, *skip_crds()),
        *("--set-string", f"image.tag={tag}", "--set", "postgres.embedded.enabled=true"),
    )


@functools.cache
def image_tag(sources: Path = ROOT) -> str:
    """Tag of the images of this tree, or another, which the cluster has from here on. Quick when they are built."""
    targets = () if sources == ROOT else ("api", "controller", "worker", "postgres")
    done = subprocess.run(
        [str(ROOT / "deploy" / "images.sh"), "load", *targets],
        env={**os.environ, "OCTO_IMAGE_SOURCES": str(sources)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=1800,
        check=True,
    )
    return done.stdout.split()[-1]


@contextmanager
def installed(namespace: str, *, chart: Path = CHART, tag: str | None = None) -> Iterator[Release]:
    """Install the chart with its embedded Postgres into a namespace where only restricted pods may run."""
    kubectl = Kubectl(namespace)
    if not Kubectl("default").exists("namespace", namespace):
        kubectl("create", "namespace", namespace)
    kubectl("label", "namespace", namespace, "--overwrite", "pod-security.kubernetes.io/enforce=restricted")
    helm("upgrade", "--install", *installing(namespace, tag or image_tag(), chart=chart), "--wait", "--timeout", "4m")
    release = opened(kubectl)
    try:
        yield release
    finally:
        release.close()


def opened(kubectl: Kubectl) -> Release:
    """The installation in a namespace, with a tunnel of its own to the api; close it."""
    secret = kubectl.json("get", "secret", "octo-bootstrap-api-key")
    key = base64.b64decode(secret["data"]["apiKey"]).decode()
    return Release(kubectl, key, PortForward(kubectl, "service/octo-api", 8080))
