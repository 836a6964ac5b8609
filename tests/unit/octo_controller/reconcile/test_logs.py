"""The last lines of a failed pod's log, kept with the attempt."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any, cast

import pytest

from octo_controller.reconcile import logs
from octo_controller.reconcile.draft import STATUS_LIMIT_BYTES
from octo_controller.reconcile.logs import just_failed, tail, with_log_tails
from octo_controller.reconcile.model import Pods
from octo_core.domain.failure import Category
from octo_core.domain.status import MAX_LOG_TAIL_LENGTH, Attempt, OctoJobStatus
from octo_core.kube.client import KubeClient
from tests.unit.octo_controller.builders import at, child, job, observed, plan_of, pod, running
from tests.unit.octo_controller.fake_api import FakeApi


def failed(**more: Any) -> OctoJobStatus:
    seen = observed(job(status=running()), children=(child(failed=True),), pods=Pods((pod(exit_code=20, **more),)))
    return plan_of(seen, 60).status


def api(**by_pod: str) -> FakeApi:
    fake = FakeApi()
    fake.logs = by_pod
    return fake


async def kept(fake: FakeApi, before: OctoJobStatus, after: OctoJobStatus) -> OctoJobStatus:
    return await with_log_tails(cast("KubeClient", fake), "octo", before, after)


async def test_a_failure_keeps_the_log_of_its_pod() -> None:
    status = await kept(api(x="one\ntwo\n"), running(), failed(name="x"))
    assert status.attempts[0].log_tail == "one\ntwo"


async def test_it_is_read_once() -> None:
    before = failed(name="x")
    assert just_failed(before, before) == ()


async def test_a_success_and_a_cancel_keep_none() -> None:
    over = at(60)
    good = OctoJobStatus(attempts=(Attempt(number=1, pod_name="x", completion_time=over),))
    asked = OctoJobStatus(
        attempts=(Attempt(number=1, pod_name="x", completion_time=over, category=Category.CANCELLED),)
    )
    assert just_failed(OctoJobStatus(), good) == just_failed(OctoJobStatus(), asked) == ()


async def test_a_log_that_cannot_be_read_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    after = failed(name="gone")
    assert await kept(api(), running(), after) == after

    class Silent(FakeApi):
        async def pod_log(self, namespace: str, name: str, **options: Any) -> str:
            await asyncio.Event().wait()
            return ""

    monkeypatch.setattr(logs, "TIMEOUT_SECONDS", 0.01)
    assert await kept(Silent(), running(), after) == after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("\n\n", None),
        ("a\x00b\x1b[31m", "a?b?[31m"),
        ("login with password=hunter2", "login with password=[redacted]"),
        ("x" * 5000, "x" * MAX_LOG_TAIL_LENGTH),
        ("first\n" + "y" * 2000 + "\n" + "z" * 100, "z" * 100),
    ],
)
def test_what_is_kept(text: str, expected: str | None) -> None:
    assert tail(text) == expected


async def test_the_oldest_logs_go_first_when_the_status_is_full() -> None:
    attempts = tuple(
        Attempt(number=n, pod_name="x", completion_time=at(n), category=Category.INFRA, log_tail="ü" * 2000)
        for n in range(1, 20)
    )
    before = OctoJobStatus(attempts=attempts)
    last = Attempt(number=20, pod_name="x", completion_time=at(99), category=Category.INFRA, message="the end")
    status = await kept(api(x="newest"), before, OctoJobStatus(attempts=(*attempts, last)))
    assert len(status.model_dump_json(by_alias=True, exclude_none=True).encode()) <= STATUS_LIMIT_BYTES
    assert (status.attempts[0].log_tail, status.attempts[-1].log_tail) == (None, "newest")
    assert status.attempts[-2].log_tail is not None
    assert status.attempts[-1].message == "the end"


def test_a_long_line_is_looked_through_in_one_go() -> None:
    """A pattern that backtracks takes hours for it, and a loop that is blocked for ten seconds costs the Lease."""
    words = ["a", "token", "a://", "://", "token ", "token:", "-----BEGIN A", "bearer ", "\t"]
    program = "from octo_controller.reconcile.logs import tail\n"
    program += f"for word in {words}: tail('x' + word * (65536 // len(word)))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)
