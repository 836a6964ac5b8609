"""Runs over REST as a program has them, by the typed Python client: from the request to the files and the log."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from octo_client import Client, ProblemError, Retries, ServerEvent, models
from tests.support.kubectl import eventually
from tests.support.release import Release, Tunnel
from tests.support.remote import Remote

PROBLEMS = "https://octo.dev/problems/"
DEADLINE_SECONDS = 600
"""After which a run ends whatever becomes of it, and with it its stream of events."""


@pytest.fixture
def client(octo: Release) -> Iterator[Client]:
    patient = Retries(tries=30, longest_wait_seconds=5)
    with Client("http://octo", api_key=octo.api_key, transport=Tunnel(octo.forward), retries=patient) as client:
        yield client


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"


def waiting(first_words: str) -> dict[str, Any]:
    """A container provider that says so, waits, and ends when it is told to."""
    script = f"trap 'echo told to stop; exit 50' TERM; echo {first_words}; sleep 600 & wait $!"
    return {"container": {"image": Remote.image(), "command": ["sh", "-c", script]}}


def events_to_the_end(client: Client, uid: str) -> list[ServerEvent]:
    """All events of a run, of which each stream gives one and is then left, until there is nothing more to come."""
    found: list[ServerEvent] = []
    while True:
        last = found[-1].id if found else "0"
        with closing(client.events(f"/v1/jobs/{uid}/events", last_event_id=last)) as stream:
            news = next(stream, None)
        if news is None:
            return found
        found.append(news)


def refusal(error: pytest.ExceptionInfo[ProblemError]) -> tuple[int, str]:
    return error.value.problem.status, str(error.value.problem.type)


def log_of(client: Client, uid: str) -> tuple[str, str]:
    """Where a log comes from, and whether it is whole."""
    with client.stream(f"/v1/jobs/{uid}/logs") as answer:
        return answer.headers["Octo-Log-Source"], answer.headers["Octo-Log-Complete"]


def test_a_run_from_its_request_to_its_manifest(octo: Release, remote: Remote, client: Client) -> None:
    name, key = unique("rest"), secrets.token_hex(8)
    expected = remote.upload_mix(name)
    remote.provider(octo, name, jobDefaults={"transfer": {"onFileError": "SkipFile"}})
    wanted = models.JobRequest(provider=name, labels={"test": name}, active_deadline_seconds=DEADLINE_SECONDS)
    made = client.jobs_create(wanted, idempotency_key=key)
    assert client.jobs_create(wanted, idempotency_key=key).id == made.id
    with pytest.raises(ProblemError) as reused:
        client.jobs_create(models.JobRequest(provider=name, priority=7), idempotency_key=key)
    assert refusal(reused) == (422, f"{PROBLEMS}idempotency-key-reused")

    events = events_to_the_end(client, made.id)
    assert [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)]
    assert (events[0].type, events[-1].type) == ("job.created", "job.succeeded")

    assert [run.id for run in client.jobs_list(provider=name).items] == [made.id], "one key is one run"
    job = client.jobs_get(made.id)
    assert job.state is models.State.SUCCEEDED
    listed = client.jobs_list(label_selector=f"test={name}", state=[models.State.SUCCEEDED], name=made.name)
    assert [run.id for run in listed.items] == [made.id]
    assert client.jobs_list(provider=name, state=[models.State.FAILED]).items == []

    rows = client.jobs_files(made.id, limit=100).items
    stored = {row.key: row.sha256 for row in rows if row.outcome is models.FileOutcome.STORED}
    assert stored == {f"{name}/data/{key}": hashlib.sha256(body).hexdigest() for key, body in expected.objects.items()}
    failed = client.jobs_files(made.id, outcome=models.FileOutcome.FAILED).items
    assert [(row.source_path, row.category) for row in failed] == [
        (f"/data/{name}/daily/bad.csv.gz.gpg", models.Category.INTEGRITY)
    ]
    eventually(lambda: log_of(client, made.id) == ("archive", "true"), what="its log is kept")
    assert any(name in line and json.loads(line) for line in client.jobs_logs(made.id).splitlines())
    lines = [json.loads(line) for line in client.jobs_manifest(made.id).splitlines()]
    assert {(line["sourcePath"], line["outcome"]) for line in lines} == {
        (row.source_path, row.outcome.value) for row in rows
    }

    remote.upload(name, {"daily/bad.csv.gz.gpg": b"id,amount\n1,2\n"})
    again = client.jobs_rerun(made.id, models.RerunRequest(mode=models.RerunMode.FAILED_FILES))
    assert (again.rerun_of, events_to_the_end(client, again.id)[-1].type) == (made.id, "job.succeeded")
    (row,) = client.jobs_files(again.id).items
    assert (row.source_path, row.outcome) == (f"/data/{name}/daily/bad.csv.gz.gpg", models.FileOutcome.STORED)
    assert [run.id for run in client.jobs_list(rerun_of=made.id).items] == [again.id]


def test_a_run_under_way_is_explained_and_cancelled(octo: Release, remote: Remote, client: Client) -> None:
    name = unique("rest")
    octo.kubectl.apply(remote.provider_object(name, waiting("so far so good")))
    job = client.jobs_create(models.JobRequest(provider=name, active_deadline_seconds=DEADLINE_SECONDS))
    eventually(lambda: client.jobs_get(job.id).state is models.State.RUNNING, what="the run runs")
    eventually(lambda: client.jobs_logs(job.id) == "so far so good\n", what="its log is read from its pod")
    assert log_of(client, job.id) == ("pod", "false")
    explained = client.jobs_explain(job.id)
    assert explained.state is models.State.RUNNING
    assert len(explained.pods) == 1
    assert [run.id for run in client.jobs_list(provider=name, state=[models.State.RUNNING]).items] == [job.id]
    with pytest.raises(ProblemError) as running:
        client.jobs_rerun(job.id)
    assert refusal(running) == (409, f"{PROBLEMS}invalid-state")

    client.jobs_cancel(job.id, models.CancelRequest(reason="seen enough"))
    assert events_to_the_end(client, job.id)[-1].type == "job.cancelled"
    ended = client.jobs_get(job.id)
    assert ended.state is models.State.CANCELLED
    # A pod that is told to end may be gone before the api looks at its log again.
    assert "so far so good\ntold to stop\n".startswith(client.jobs_logs(job.id))
    assert "seen enough" in client.jobs_explain(job.id).model_dump_json()


def test_what_cannot_be_is_refused_by_its_name(octo: Release, client: Client) -> None:
    with pytest.raises(ProblemError) as missing:
        client.jobs_create(models.JobRequest(provider=unique("nobody")))
    assert refusal(missing) == (404, f"{PROBLEMS}provider-not-found")
    with pytest.raises(ProblemError) as unknown:
        client.jobs_logs("no-such-job")
    assert refusal(unknown) == (404, f"{PROBLEMS}job-not-found")
    stranger = Client("http://octo", api_key="octo_wrong", transport=Tunnel(octo.forward))
    with stranger, pytest.raises(ProblemError) as refused:
        stranger.jobs_list()
    assert refusal(refused) == (401, f"{PROBLEMS}unauthenticated")
