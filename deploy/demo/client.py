"""A small client of the REST API, as anyone would write one."""

from __future__ import annotations

import base64
import sys
import time
import uuid

import httpx
from deploy.demo.manifests import OCTO, PROVIDER
from deploy.demo.shell import DemoError, Object, run, show

TERMINAL = ("Succeeded", "Failed", "Cancelled")


def api_key() -> str:
    """The first API key, from its Secret."""
    path = "jsonpath={.data.apiKey}"
    return base64.b64decode(
        run("kubectl", "--namespace", OCTO, "get", "secret", "octo-bootstrap-api-key", "--output", path)
    ).decode()


class OctoClient:
    """Calls as one API key."""

    def __init__(self, url: str, key: str) -> None:
        # No proxy of the environment stands between us and our own port.
        self._http = httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30, trust_env=False)

    def create_job(self) -> Object:
        """A new run of the demo's provider; the same key again would answer with the same run."""
        return self._call(
            "POST", "/v1/jobs", json={"provider": PROVIDER}, headers={"Idempotency-Key": str(uuid.uuid4())}
        )

    def job(self, job_id: str) -> Object:
        """One run."""
        return self._call("GET", f"/v1/jobs/{job_id}")

    def files(self, job_id: str) -> list[Object]:
        """What became of each file."""
        rows: list[Object] = []
        cursor: str | None = None
        while True:
            params = {"limit": "50"} | ({"cursor": cursor} if cursor else {})
            page = self._call("GET", f"/v1/jobs/{job_id}/files", params=params)
            rows += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return rows

    def _call(
        self,
        method: str,
        path: str,
        *,
        json: Object | None = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Object:
        try:
            response = self._http.request(method, path, json=json, params=params, headers=headers)
        except httpx.TransportError as error:
            raise DemoError(f"{method} {path}: the api cannot be reached: {error!r}") from error
        if response.is_error:
            raise DemoError(f"{method} {path}: {response.status_code} {response.text[:1000]}")
        answer: Object = response.json()
        return answer


def follow(client: OctoClient, job_id: str, *, timeout: float = 600) -> Object:
    """Show a run's progress until it has ended."""
    live = sys.stdout.isatty()
    began = time.monotonic()
    last = ""
    while True:
        job = client.job(job_id)
        progress = job["progress"] or {}
        line = f"  {job['state']:<10} files {progress.get('summary') or '-':<8} {_bytes(progress)}"
        if live:
            sys.stdout.write(f"\r{line}  {time.monotonic() - began:4.0f} s\x1b[K")
            sys.stdout.flush()
        elif line != last:
            show(line)
        last = line
        if job["state"] in TERMINAL:
            if live:
                show()
            return job
        if time.monotonic() - began > timeout:
            raise DemoError(f"the job is still {job['state']} after {timeout:.0f} s: kubectl -n {OCTO} get pods")
        time.sleep(0.3)


def _bytes(progress: Object) -> str:
    down, up = progress.get("bytesDownloaded", 0), progress.get("bytesUploaded", 0)
    return f"{down / 1e6:.1f} MB fetched, {up / 1e6:.1f} MB stored"
