"""Requests that go on while a release is replaced."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx

from tests.support.kubectl import Kubectl, eventually
from tests.support.release import TERMINAL, Release, opened

# While pods change places an api may be without one of its stores for a moment; it says so, and to try again.
PASSING = (503,)

SILENCE_SECONDS = 20
"""After which a request is sent again: kubectl may go on forwarding to a pod that is gone, and say nothing."""


class Traffic:
    """Makes a run of a provider by REST, asks for it until it is over, and makes the next, from a thread.

    Each request is sent again with the same Idempotency-Key, as a client does that did not get the answer. ``before``
    is called with that key before the run is asked for.
    """

    def __init__(self, kubectl: Kubectl, provider: str, *, before: Callable[[str], None] | None = None) -> None:
        self._kubectl, self._before = kubectl, before
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._trouble: BaseException | None = None
        self._name = f"traffic-{secrets.token_hex(3)}"
        self.provider = provider
        self.made: dict[str, dict[str, Any]] = {}
        """By Idempotency-Key, the run as it was first told. Complete after the block."""
        self.over = 0
        """How many of them have ended."""

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=600)
        assert not self._thread.is_alive(), "the traffic does not come to its end"
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raises what went wrong, if anything did."""
        if self._trouble is not None:
            raise AssertionError(f"a request while the release was replaced: {self._trouble}") from self._trouble

    def wait_for(self, more: int) -> None:
        """Wait until so many more runs are over."""
        goal = self.over + more

        def there() -> bool:
            return self._trouble is not None or self.over >= goal

        eventually(there, within=600, what=f"{more} runs by REST")
        self.check()

    def _run(self) -> None:
        octo = opened(self._kubectl)
        octo.http.timeout = SILENCE_SECONDS
        try:
            number = 0
            while not self._stop.is_set():
                number += 1
                self._one(octo, f"{self._name}-{number}")
        except BaseException as error:  # noqa: BLE001 - told by check(), in the thread of the test
            self._trouble = error
        finally:
            octo.close()

    def _one(self, octo: Release, key: str) -> None:
        if self._before is not None:
            self._before(key)
        job = self._post(octo, key)
        self.made[key] = job
        assert self._post(octo, key)["id"] == job["id"], f"{key} stands for two runs"
        while self._get(octo, f"/v1/jobs/{job['id']}").json()["state"] not in TERMINAL:
            self._get(octo, "/v1/jobs?limit=100")
            time.sleep(0.2)
        self.over += 1

    def _post(self, octo: Release, key: str) -> dict[str, Any]:
        answer = self._answered(
            octo, "POST", "/v1/jobs", json={"provider": self.provider}, headers={"Idempotency-Key": key}
        )
        assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
        job: dict[str, Any] = answer.json()
        return job

    def _get(self, octo: Release, path: str) -> httpx.Response:
        answer = self._answered(octo, "GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer

    def _answered(self, octo: Release, method: str, path: str, **more: Any) -> httpx.Response:
        deadline = time.monotonic() + 240
        while True:
            answer = octo.request(method, path, **more)
            if answer.status_code not in PASSING or time.monotonic() > deadline:
                return answer
            time.sleep(0.5)
