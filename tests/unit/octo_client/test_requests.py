"""What is sent, what is tried again, and how events are put together."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from octo_client import Client, ProblemError, Retries, ServerEvent, UnreachableError, models
from octo_client.streams import ServerEvents

AT_ONCE = Retries(tries=3, first_wait_seconds=0.0)
PROBLEM = {
    "type": "https://octo.dev/problems/database-unavailable",
    "title": "Database unavailable",
    "status": 503,
    "detail": "later",
    "instance": "/v1/jobs",
    "code": "database-unavailable",
    "requestId": "r",
    "retryable": True,
}
PAGE: dict[str, Any] = {"items": [], "nextCursor": None}


def client(*answers: httpx.Response | Exception, seen: list[httpx.Request]) -> Client:
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return Client("http://api", api_key="k", retries=AT_ONCE, transport=httpx.MockTransport(answer))


def passing(**headers: str) -> httpx.Response:
    return httpx.Response(503, json=PROBLEM, headers=headers)


def test_parameters_go_where_they_belong() -> None:
    seen: list[httpx.Request] = []
    with client(httpx.Response(200, json=PAGE), seen=seen) as octo:
        page = octo.providers_ledger("a/b", path_prefix="in &", stored_after=datetime(2026, 1, 2, tzinfo=UTC), limit=7)
    (request,) = seen
    assert page.items == []
    assert request.url.raw_path.startswith(b"/v1/providers/a%2Fb/ledger?")
    assert dict(request.url.params) == {"pathPrefix": "in &", "storedAfter": "2026-01-02T00:00:00+00:00", "limit": "7"}
    assert request.headers["X-API-Key"] == "k"


def test_a_post_is_sent_again_under_one_key() -> None:
    seen: list[httpx.Request] = []
    reset = models.ResetRequest(paths=["a"])
    answers = (httpx.ConnectError("x"), passing(**{"Retry-After": "0"}), httpx.Response(200, json={"items": []}))
    with client(*answers, seen=seen) as octo:
        octo.providers_reset_ledger("bank", reset)
    keys = {request.headers["Idempotency-Key"] for request in seen}
    assert (len(seen), len(keys)) == (3, 1)
    assert json.loads(seen[0].content) == {"paths": ["a"]}


def test_what_has_no_key_is_sent_once() -> None:
    seen: list[httpx.Request] = []
    with client(passing(), seen=seen) as octo, pytest.raises(ProblemError) as caught:
        octo.providers_patch("bank", {"labels": {}})
    assert caught.value.problem.code == "database-unavailable"
    assert len(seen) == 1
    with client(httpx.ConnectError("x"), seen=seen) as octo, pytest.raises(UnreachableError):
        octo.providers_patch("bank", {"labels": {}})


def test_there_is_an_end_to_trying() -> None:
    seen: list[httpx.Request] = []
    with client(*(passing() for _ in range(3)), seen=seen) as octo, pytest.raises(ProblemError):
        octo.providers_list()
    assert len(seen) == 3


def test_an_answer_of_a_proxy_is_a_problem_too() -> None:
    with client(httpx.Response(418, text="<html>"), seen=[]) as octo, pytest.raises(ProblemError) as caught:
        octo.providers_list()
    assert (caught.value.problem.status, caught.value.problem.code) == (418, "unknown")


def test_how_long_to_wait() -> None:
    retries = Retries(first_wait_seconds=1.0, longest_wait_seconds=3.0)
    assert retries.wait_before(2, passing(**{"Retry-After": "17"})) == 17.0
    assert 0.5 <= retries.wait_before(2, None) <= 1.0
    assert 1.5 <= retries.wait_before(9, None) <= 3.0


def test_events_go_on_where_they_were() -> None:
    def stream(text: str) -> httpx.Response:
        return httpx.Response(200, text=text, headers={"Content-Type": "text/event-stream"})

    seen: list[httpx.Request] = []
    over = httpx.Response(204)
    first = ': hello\nid: 1\nevent: a\ndata: {"x":\ndata: 1}\n\nid: 2\ndata: "half'
    with client(stream(first), stream('id: 2\r\ndata: "a\u2028b"\r\n\r\n'), over, seen=seen) as octo:
        found = list(octo.events("/v1/events"))
    assert found == [ServerEvent("a", "1", {"x": 1}), ServerEvent("message", "2", "a\u2028b")]
    assert [request.headers.get("Last-Event-ID") for request in seen] == [None, "1", "2"]
    seen.clear()
    with client(passing(), httpx.ReadError("x"), stream("id: 9\ndata: 5\n\n"), over, seen=seen) as octo:
        assert list(octo.events("/v1/events", last_event_id="7")) == [ServerEvent("message", "9", 5)]
    assert [request.headers["Last-Event-ID"] for request in seen] == ["7", "7", "7", "9"]
    # Nothing could go on behind what has no ids.
    with client(stream("data: 1\n\ndata: 2\n\n"), seen=seen) as octo:
        assert [event.data for event in octo.events("/v1/jobs/a/checks")] == [1, 2]
    known = ServerEvents("7")
    assert known.headers()["Last-Event-ID"] == "7"
    for line in ("id: 8", "data: 1", ""):
        known.line(line)
    assert known.headers()["Last-Event-ID"] == "8"


def test_a_server_that_goes_says_when_to_come_back() -> None:
    known = ServerEvents()
    assert list(known.feed("retry: 2000\n\n: heartbeat\nid: 4\n\n")) == []
    assert (known.resumable, known.pause_seconds) == (True, 0.0)
    assert list(known.feed("retry: 2000\n\n")) == []
    assert known.pause_seconds == 2.0
    known.headers()
    assert known.pause_seconds == 0.0
