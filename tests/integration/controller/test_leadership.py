"""Two controllers, a real API server and a real Postgres: one acts, whatever becomes of the other."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.support.controllers import Replica, Site
from tests.support.kubectl import eventually
from tests.support.tcp_faults import proxied


def started(place: Site, *, url: str | None = None) -> tuple[Replica, Replica]:
    """Two replicas that are ready: the leader, which may have a way of its own to the API server, and the standby."""
    one, two = place.controller("one", url=url), place.controller("two")
    one.program.start()
    eventually(lambda: place.holder() == one.identity, what="the first one leads")
    two.program.start()
    assert (one.metric("leader"), two.metric("leader")) == (1, 0)
    return one, two


def test_a_standby_takes_over_from_a_killed_leader_and_hands_back_at_once(place: Site) -> None:
    one, two = started(place)
    place.provider("hello")
    place.run("a", "hello")
    place.wait_for_job("a")
    one.program.kill()
    place.run("b", "hello")
    place.wait_for_job("b")
    assert place.holder() == two.identity
    assert (two.metric("leader"), two.metric("lease_transitions")) == (1, 1)
    one.program.start()
    assert one.metric("leader") == 0, "it comes back as the standby, and is ready"
    assert two.program.stop() == 0
    place.run("c", "hello")
    place.wait_for_job("c")
    assert place.holder() == one.identity
    assert place.jobs_made() == {"a-1": 1, "b-1": 1, "c-1": 1}
    assert one.program.stop() == 0
    assert place.holder() == "", "the last one leaves the Lease to whoever comes"


def test_a_leader_that_slept_writes_nothing_when_it_wakes_and_ends(place: Site) -> None:
    one, two = started(place)
    place.provider("hello")
    place.run("a", "hello")
    place.wait_for_job("a")
    one.program.freeze()
    # What the sleeper will find when it wakes: runs that, as far as it knows, nobody has begun.
    for name in ("b", "c", "d"):
        place.run(name, "hello")
    for name in ("b", "c", "d"):
        place.wait_for_job(name)
    assert place.holder() == two.identity
    # The one that acts stands still while the sleeper wakes, so that every write is the sleeper's.
    two.program.freeze()
    before = place.versions()
    one.program.thaw()
    eventually(lambda: not one.program.running, what="the sleeper's end")
    assert one.program.stop() == 3, one.program.tail()
    assert place.versions() == before
    two.program.thaw()
    assert place.jobs_made() == {"a-1": 1, "b-1": 1, "c-1": 1, "d-1": 1}


def test_a_leader_that_is_cut_off_ends_itself_and_the_standby_goes_on(place: Site) -> None:
    port = urlsplit(place.plane.url).port
    assert port is not None
    with proxied(port) as wire:
        one, two = started(place, url=f"https://127.0.0.1:{wire.port}")
        place.provider("hello")
        place.run("a", "hello")
        place.wait_for_job("a")
        # Nothing passes any more, and no connection breaks: watches and renewals just hang.
        wire.stall()
        place.run("b", "hello")
        eventually(lambda: not one.program.running, what="the end of the one that is cut off")
        assert one.program.stop() == 3, one.program.tail()
        place.wait_for_job("b")
        assert place.holder() == two.identity
        wire.resume()
        assert place.jobs_made() == {"a-1": 1, "b-1": 1}
        assert two.program.stop() == 0
