"""What an installation went through, and whether all of it is still there."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.kubectl import eventually
from tests.support.release import TERMINAL, Release
from tests.support.remote import Remote
from tests.upgrade.traffic import Traffic

FILES, QUICK, GATED, BROKEN = "files", "quick", "gated", "broken"
NEVER = "2099-01-01T00:00:00Z"


@dataclass(slots=True)
class Story:
    """One installation: what was asked of it, and what has to come of it."""

    octo: Release
    remote: Remote
    runs: dict[str, str] = field(default_factory=dict)
    """The state that each run, by its uid, has to end in."""
    names: dict[str, str] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By Idempotency-Key: what was asked for, and the uid of the run that came of it."""
    objects: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each object that has to be in the bucket, by key."""

    def describe_sources(self) -> None:
        """The OctoProviders, and the files that one of them names."""
        mix = self.remote.upload_mix(FILES)
        skip = {"transfer": {"onFileError": "SkipFile"}, "retryPolicy": {"maxAttempts": 1}}
        self.remote.provider(self.octo, FILES, jobDefaults=skip)
        self._expect(mix.objects)
        self._container(QUICK, "true", concurrency={"policy": "Allow"})
        # One at a time, and each until somebody opens its gate.
        self._container(GATED, "until test -e /tmp/gate; do sleep 0.2; done")
        self._container(BROKEN, "exit 34")

    def upload_more(self, name: str) -> None:
        """One more file for the provider of files."""
        plain = f"{name}\n".encode() * 2_000
        self.remote.upload(FILES, {f"more/{name}.csv.gz.gpg": plain})
        self._expect({f"csv/more/{name}.csv": plain})

    def ask(self, provider: str, key: str, ends: str = "Succeeded", **spec: Any) -> dict[str, Any]:
        """A run by REST with this Idempotency-Key, which has to end so."""
        answer = self.octo.request(
            "POST", "/v1/jobs", json={"provider": provider, **spec}, headers={"Idempotency-Key": key}
        )
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        self.answers[key] = {"body": {"provider": provider, **spec}, "id": job["id"]}
        self.expect(job, ends)
        return job

    def _add(self, traffic: Traffic) -> None:
        for key, job in traffic.made.items():
            self.answers[key] = {"body": {"provider": traffic.provider}, "id": job["id"]}
            self.expect(job)

    def expect(self, job: dict[str, Any], ends: str = "Succeeded") -> None:
        """A run that somebody asked for has to end so."""
        self.runs[job["id"]] = ends
        self.names[job["id"]] = job["name"]

    def complete(self, provider: str, key: str, ends: str = "Succeeded") -> dict[str, Any]:
        """The same, to its end."""
        job = self.ask(provider, key, ends)
        self.octo.wait_state(job["name"], ends)
        return job

    def open_gates(self, jobs: list[dict[str, Any]]) -> list[str]:
        """Have gated runs end well, one after the other as their turns come; returns the uids of their pods."""
        waiting, pods = {str(job["name"]) for job in jobs}, []

        def running() -> str | None:
            # Those that were made in one second have no order that is promised.
            return next((name for name in waiting if self.octo.state(name) == "Running"), None)

        while waiting:
            name = eventually(running, what=f"one of {sorted(waiting)} to run")
            assert name is not None
            (pod,) = self.octo.pods_of(name)
            open_it = ("exec", pod["metadata"]["name"], "--", "touch", "/tmp/gate")
            eventually(functools.partial(self._says_nothing, *open_it), what="the gate to open")
            self.octo.wait_state(name, "Succeeded")
            pods.append(str(pod["metadata"]["uid"]))
            waiting.remove(name)
        return pods

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Runs are asked for by REST through the block, with new files and without, and for two of each after it."""
        kubectl = self.octo.kubectl
        with Traffic(kubectl, QUICK) as quick, Traffic(kubectl, FILES, before=self.upload_more) as files:
            for traffic in (quick, files):
                traffic.wait_for(1)
            yield
            for traffic in (quick, files):
                # One may be nearly over that the release before began.
                traffic.wait_for(2)
        for traffic in (quick, files):
            self._add(traffic)

    # ---- whether it is all there ----------------------------------------------------------------------

    def check_keys(self) -> None:
        """Each Idempotency-Key stands for the run that it stood for, and refuses to stand for another."""
        for key, asked in self.answers.items():
            headers = {"Idempotency-Key": key}
            again = self.octo.request("POST", "/v1/jobs", json=asked["body"], headers=headers)
            assert (again.status_code, again.json().get("id")) == (202, asked["id"]), again.text
            assert again.headers["Idempotent-Replayed"] == "true"
            other = self.octo.request("POST", "/v1/jobs", json={**asked["body"], "priority": 7}, headers=headers)
            assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")

    def check_runs(self) -> None:
        """OctoJobs, rows and what REST tells are the same runs; all are over, as they had to, at the first attempt."""

        def told() -> bool:
            found = self.octo.kubectl.json("get", "octojobs")["items"]
            crs = {raw["metadata"]["uid"]: raw for raw in found}
            assert {uid: raw["metadata"]["name"] for uid, raw in crs.items()} == self.names
            states = {uid: raw.get("status", {}).get("state", "") for uid, raw in crs.items()}
            assert states == self.runs
            assert set(states.values()) <= set(TERMINAL)
            rows = {row["uid"]: row for row in self.octo.sql("SELECT * FROM jobs")}
            assert set(rows) == set(crs)
            for uid, raw in crs.items():
                assert rows[uid]["status"] == raw["status"], uid
                assert int(rows[uid]["resource_version"]) == int(raw["metadata"]["resourceVersion"]), uid
            listed = self._list()
            assert {job["id"]: job["state"] for job in listed} == states
            return True

        eventually(told, within=240, every=1, what="OctoJobs, Postgres and REST to agree on what had to come")
        attempts = {job["id"]: job["attempt"] for job in self._list()}
        assert {count for uid, count in attempts.items() if self.runs[uid] != "Cancelled"} == {1}
        jobs = self.octo.kubectl.json("get", "jobs", "-l", "octo.dev/job-uid")["items"]
        made = Counter(job["metadata"]["labels"]["octo.dev/job-uid"] for job in jobs)
        assert set(made) <= set(self.runs)
        assert all(count == 1 for count in made.values()), made

    def check_objects(self) -> None:
        """The bucket holds what it has to, whole, and each object was stored once."""
        assert self.remote.digests(f"{FILES}/data/") == self.objects

        def told() -> bool:
            rows = self.octo.sql("SELECT key, sha256 FROM job_files WHERE outcome = 'Stored'")
            assert Counter(row["key"] for row in rows) == Counter(self.objects.keys())
            assert {row["key"]: row["sha256"] for row in rows} == self.objects
            return True

        eventually(told, within=240, every=1, what="a row for each object")
        assert self.remote.open_uploads(FILES) == []

    def _list(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = []
        query = {"limit": "100"}
        while True:
            answer = self.octo.request("GET", "/v1/jobs", params=query)
            assert answer.status_code == 200, answer.text
            jobs += answer.json()["items"]
            cursor = answer.json()["nextCursor"]
            if not cursor:
                return jobs
            query["cursor"] = cursor

    def _says_nothing(self, *command: str) -> bool:
        return self.octo.kubectl(*command) == ""

    def _expect(self, objects: dict[str, bytes]) -> None:
        self.objects |= {f"{FILES}/data/{key}": hashlib.sha256(body).hexdigest() for key, body in objects.items()}

    def _container(self, name: str, script: str, **defaults: Any) -> None:
        container = {"image": self.remote.image(), "command": ["sh", "-c", script]}
        spec = {"container": container, "jobDefaults": {"retryPolicy": {"maxAttempts": 1}, **defaults}}
        self.octo.kubectl.apply(self.remote.provider_object(name, spec))
