"""What the S3 sink decides without a server: addresses, retries, verdicts, and when keys are renewed."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.provider import S3Destination
from octo_worker.failure import Failed
from octo_worker.sinks.address import address_of
from octo_worker.sinks.errors import S3Error, from_answer
from octo_worker.sinks.identity import Renewed
from octo_worker.sinks.keys import Keys
from octo_worker.sinks.retries import Halt, Patience
from octo_worker.sinks.wire import Wire


@pytest.mark.parametrize(
    ("endpoint", "region", "path_style", "origin", "target"),
    [
        (None, "eu-west-1", False, "https://landing.s3.eu-west-1.amazonaws.com", "/a/b"),
        (None, "eu-west-1", True, "https://s3.eu-west-1.amazonaws.com", "/landing/a/b"),
        (None, "cn-north-1", True, "https://s3.cn-north-1.amazonaws.com.cn", "/landing/a/b"),
        ("http://store:9000/", "x", True, "http://store:9000", "/landing/a/b"),
        ("http://store:9000", "x", False, "http://landing.store:9000", "/a/b"),
        ("https://store/s3/", "x", True, "https://store", "/s3/landing/a/b"),
        ("https://store/s3", "x", False, "https://landing.store", "/s3/a/b"),
    ],
)
def test_where_a_bucket_is(endpoint: str | None, region: str, path_style: bool, origin: str, target: str) -> None:
    address = address_of(S3Destination(bucket="landing", endpoint=endpoint, region=region, path_style=path_style))
    assert address.origin == origin
    assert address.target("a/b", {}) == target


def test_a_target_is_escaped_as_s3_signs_it() -> None:
    address = address_of(S3Destination(bucket="landing", endpoint="http://s", path_style=True))
    query = {"uploadId": "a/b+c=", "partNumber": "1"}
    assert address.target("é #?%41~*", query) == "/landing/%C3%A9%20%23%3F%2541~%2A?uploadId=a%2Fb%2Bc%3D&partNumber=1"


@given(st.integers(min_value=1, max_value=2000), st.floats(min_value=0, max_value=1))
def test_delays_are_jittered_and_bounded(failures: int, luck: float) -> None:
    patience = Patience()
    assert 0 <= patience.delay(failures, luck) <= patience.longest_seconds
    assert patience.delay(failures, luck) <= patience.delay(failures + 1, luck)


def test_a_run_of_tries() -> None:
    patience, halt = Patience(tries=3, first_seconds=0), Halt()

    def raising(*errors: S3Error) -> Iterator[S3Error]:
        yield from errors

    def tried(*errors: S3Error) -> S3Error:
        left = raising(*errors)

        def once() -> None:
            raise next(left)

        with pytest.raises(S3Error) as raised:
            patience.run(once, halt)
        return raised.value

    def slow_down() -> S3Error:
        return S3Error(503, "SlowDown", "")

    refused = S3Error(403, "AccessDenied", "")
    assert tried(refused) is refused
    assert not refused.unclear
    assert tried(slow_down(), S3Error(403, "AccessDenied", "")).unclear  # the try before may have done it
    last = slow_down()
    assert tried(slow_down(), slow_down(), last, refused) is last
    connecting = S3Error(None, "", "", sent=False)
    assert tried(connecting, connecting, connecting) is connecting
    assert not connecting.unclear


def test_no_try_after_the_time_is_up() -> None:
    calls = 0

    def once() -> None:
        nonlocal calls
        calls += 1
        raise S3Error(503, "SlowDown", "")

    with pytest.raises(S3Error):
        Patience(total_seconds=-1).run(once, Halt())
    assert calls == 1


def test_a_halt_is_any_of_its_events() -> None:
    first, second = threading.Event(), threading.Event()
    halt = Halt(first, second)
    assert not halt.is_set()
    assert not halt.wait(0)
    threading.Timer(0.05, second.set).start()
    assert halt.wait(600)
    assert halt.is_set()


@pytest.mark.parametrize(
    ("status", "code", "category", "retryable"),
    [
        (403, "AccessDenied", Category.AUTH, False),
        (400, "ExpiredToken", Category.AUTH, False),
        (404, "XAdminUserNotFound", Category.AUTH, False),
        (404, "NoSuchBucket", Category.CONFIG, False),
        (301, "PermanentRedirect", Category.CONFIG, False),
        (400, "AuthorizationHeaderMalformed", Category.CONFIG, False),
        (400, "EntityTooLarge", Category.SINK_UNAVAILABLE, False),
        (400, "RequestTimeout", Category.SINK_UNAVAILABLE, True),
        (400, "BadDigest", Category.SINK_UNAVAILABLE, True),
        (429, "", Category.SINK_UNAVAILABLE, True),
        (503, "SlowDown", Category.SINK_UNAVAILABLE, True),
        (507, "InsufficientStorage", Category.SINK_UNAVAILABLE, False),
    ],
)
def test_what_an_answer_means(status: int, code: str, category: Category, retryable: bool) -> None:
    error = from_answer(status, f"<Error><Code>{code}</Code><Message>m\nn</Message></Error>".encode())
    failed = error.failed("writing a/b", "landing")
    assert (failed.category, error.retryable) == (category, retryable)
    assert "\n" not in failed.detail
    assert "a/b" in failed.detail or "landing" in failed.detail


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"\xff\xfe", b"<Error><Code>"])
def test_an_answer_that_is_no_s3_error(body: bytes) -> None:
    assert str(from_answer(502, body)) == "the store answered 502"


def test_keys_are_renewed_before_they_expire_and_used_while_they_cannot_be() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    given: list[Keys | Failed] = []

    def fetch() -> Keys:
        keys = given.pop(0)
        if isinstance(keys, Failed):
            raise keys
        return keys

    renewed = Renewed(fetch, lambda: now)
    away = Failed(Category.SINK_UNAVAILABLE, "away")
    given[:] = [away]
    with pytest.raises(Failed):
        renewed()
    first = Keys("1", "s", "t", now + timedelta(hours=1))
    given[:] = [first]
    assert renewed() is first
    now += timedelta(minutes=49)
    assert renewed() is first
    now += timedelta(minutes=2)
    given[:] = [away]
    assert renewed() is first
    assert given == []
    assert renewed() is first  # not asked again at once
    now += timedelta(minutes=1)
    second = Keys("2", "s", "t", now + timedelta(hours=1))
    given[:] = [second]
    assert renewed() is second
    now += timedelta(hours=2)
    given[:] = [away]
    with pytest.raises(Failed):
        renewed()


def test_keys_that_do_not_expire_are_asked_for_once() -> None:
    given = [Keys("1", "s")]
    renewed = Renewed(lambda: given.pop(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert renewed() is renewed()


def test_what_cannot_be_sent_is_in_no_error() -> None:
    settings = S3Destination(bucket="landing", endpoint="http://127.0.0.1:9", path_style=True)
    for value in ("planted\nvalue", "planted\u0394"):
        wire = Wire(settings, address_of(settings), partial(Keys, "id", "secret", value))
        with pytest.raises(S3Error) as raised:
            wire.ask("GET", "a", {})
        assert not raised.value.retryable
        assert "planted" not in "".join(traceback.format_exception(raised.value))
