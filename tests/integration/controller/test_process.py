"""The controller as a process: how it is told to end, and what ends it or fails its probe."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.support.control_plane import ControlPlane
from tests.support.controllers import Site
from tests.support.kube_faults import KubeProxy, kube_proxy
from tests.support.kubectl import eventually

FAR = "2099-01-01T00:00:00Z"


@pytest.fixture
def proxy(bare_control_plane: ControlPlane) -> Iterator[KubeProxy]:
    with kube_proxy(bare_control_plane) as made:
        yield made


def test_a_watch_that_tells_nothing_more_fails_the_liveness_probe(place: Site, proxy: KubeProxy) -> None:
    settings = {"resync_interval_seconds": 1, "watch_behind_seconds": 5}
    controller = place.controller("one", url=proxy.url, **settings)
    controller.program.start()
    place.provider("bank")
    place.run("a", "bank", startAfter=FAR)
    place.wait_for_state("a", "Pending")
    eventually(lambda: controller.probe("livez") == 200, what="the watches told of all there is")
    proxy.stall_watches()
    place.run("b", "bank", startAfter=FAR)
    eventually(lambda: controller.probe("livez") == 503, what="the probe that fails")
    place.wait_for_state("b", "Pending")  # What is listed is decided all the same.
    proxy.heal()
    eventually(lambda: controller.probe("livez") == 200, what="the probe that is well again")
    assert controller.program.stop() == 0


def test_a_process_with_a_blocked_event_loop_ends_by_itself(place: Site) -> None:
    controller = place.controller("one", loop_blocked_seconds=5)
    controller.program.command = [sys.executable, "-m", "tests.support.blocking_controller"]
    controller.program.start()
    eventually(lambda: place.holder() == controller.identity, what="it leads")
    os.kill(controller.program.pid, signal.SIGUSR1)
    eventually(lambda: not controller.program.running, what="its end")
    assert controller.program.stop() == 3, controller.program.tail()


def test_one_that_cannot_begin_ends_when_it_is_told(place: Site, proxy: KubeProxy) -> None:
    proxy.cut()
    controller = place.controller("one", url=proxy.url)
    controller.program.launch()
    eventually(lambda: controller.probe("readyz") == 503, what="it lives, and waits for the API server")
    assert controller.program.stop(within=240) == 0, controller.program.tail()


def test_told_twice_it_ends_at_once(place: Site) -> None:
    nowhere = "postgresql://octo@127.0.0.1:1/octo"
    controller = place.controller("one", database_url=nowhere, drain_seconds=3600)
    controller.program.start()
    place.provider("bank")
    place.run("a", "bank", startAfter=FAR)
    place.wait_for_state("a", "Pending")
    eventually(lambda: controller.metric("mirror_pending") > 0, what="something that waits for Postgres")
    os.kill(controller.program.pid, signal.SIGTERM)
    eventually(lambda: '"stopping"' in controller.program.tail(100_000), what="it drains")
    assert controller.program.running
    os.kill(controller.program.pid, signal.SIGTERM)
    eventually(lambda: not controller.program.running, what="its end")
    assert controller.program.stop() == 128 + signal.SIGTERM
