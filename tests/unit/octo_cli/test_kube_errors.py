"""Requests to the cluster's API that are made again, and those that are not."""

from __future__ import annotations

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from octo_cli.kube.errors import passes, read


def refused(code: int) -> ApiError:
    request = httpx2.Request("GET", "https://cluster.example")
    status = {"kind": "Status", "code": code, "message": "no"}
    return ApiError(request=request, response=httpx2.Response(code, json=status, request=request))


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (httpx2.ConnectError("refused"), True),
        (httpx2.ReadError("reset"), True),
        (httpx2.RemoteProtocolError("cut"), True),
        (refused(500), True),
        (refused(503), True),
        (refused(429), True),
        (refused(403), False),
        (refused(404), False),
        (ValueError("ours"), False),
    ],
)
def test_what_may_pass_is_asked_for_again(error: Exception, again: bool) -> None:
    assert passes(error) is again
    answers: list[Exception | str] = [error, error, "answer"]
    slept: list[float] = []

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    if again:
        assert read(ask, sleep=slept.append) == "answer"
        assert len(slept) == 2
    else:
        with pytest.raises(type(error)):
            read(ask, sleep=slept.append)
        assert (len(answers), slept) == (2, [])


def test_patience_ends_with_the_error() -> None:
    slept: list[float] = []

    def ask() -> str:
        raise httpx2.ConnectError("refused")

    with pytest.raises(httpx2.ConnectError):
        read(ask, sleep=slept.append)
    assert sum(slept) == 7.5
