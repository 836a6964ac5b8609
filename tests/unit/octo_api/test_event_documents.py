"""An event looks as its schema says, in a frame that no content can break."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from octo_api.events import schemas
from octo_api.events.examples import FAILED, PAGE
from octo_api.events.feed import Feed
from octo_api.events.frames import frame, heartbeat
from octo_core.db.events import Event, EventFilter
from octo_core.domain.events import EventType


def event(position: int, **values: Any) -> Event:
    base: dict[str, Any] = {
        "namespace": "octo",
        "type": EventType.JOB_RUNNING.value,
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "data": {"state": "Running", "previousState": "Pending", "attempt": 1, "reason": None},
        "provider": "bank",
        "job_uid": "a",
        "job_name": "job-a",
        "seq": position,
    }
    return Event(position=position, **{**base, **values})


def test_documents_and_examples_keep_to_the_schema() -> None:
    schemas.Event.model_validate(schemas.document(event(7), 7))
    schemas.Event.model_validate(FAILED)
    schemas.EventPage.model_validate(PAGE)


@pytest.mark.parametrize("reason", ["two\nlines", "a\r\n\r\nid: 9", "\u2028 \x85 ü", "data: x\n\nevent: y"])
def test_no_content_ends_a_line(reason: str) -> None:
    sent = frame(event(7, data={"reason": reason}), 7)
    lines = sent.decode().split("\n")
    assert [line.partition(":")[0] for line in lines] == ["id", "event", "data", "", ""]
    assert "\r" not in sent.decode()
    assert json.loads(lines[2].removeprefix("data: "))["data"]["reason"] == reason
    assert heartbeat(3) == b": heartbeat\nid: 3\n\n"


def test_a_feed_is_a_window() -> None:
    feed = Feed(capacity=4)
    assert feed.since(0, most=9) is None
    feed.start(10)
    assert (feed.since(10, most=9), feed.since(9, most=9), feed.covers(10), feed.covers(11)) == ([], None, True, False)
    # Positions of runs that were removed are missing.
    feed.add(event(position) for position in (11, 13, 14))
    assert [entry.position for entry in feed.since(12, most=1) or ()] == [13]
    assert feed.head == 14
    feed.add(event(position) for position in range(15, 21))
    assert feed.since(15, most=9) is None
    assert [entry.position for entry in feed.since(16, most=9) or ()] == [17, 18, 19, 20]
    feed.start(3)
    assert (feed.head, feed.since(20, most=9), feed.covers(20)) == (3, [], False)


async def test_bells_ring_for_their_run_and_for_all() -> None:
    feed = Feed()
    feed.start(0)
    mine, other, every = (feed.listen(run=run) for run in ("a", "b", None))
    await feed.ring(feed.add([event(1)]))
    assert [await bell.heard(timeout=0.01) for bell in (mine, other, every)] == [True, False, True]
    assert feed.streams == 3
    feed.leave(other)
    feed.close()
    assert (mine.ended, other.ended, every.ended) == (True, False, True)
    # Who comes now is sent away too.
    assert feed.listen(run=None).ended


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (EventFilter(), True),
        (EventFilter(namespaces=("octo",), provider="bank", types=("job.running",), job_uid="a"), True),
        (EventFilter(namespaces=()), False),
        (EventFilter(provider="other"), False),
        (EventFilter(types=("job.failed",)), False),
        (EventFilter(job_uid="b"), False),
    ],
)
def test_filters(wanted: EventFilter, taken: bool) -> None:
    assert wanted.takes(event(1)) is taken
