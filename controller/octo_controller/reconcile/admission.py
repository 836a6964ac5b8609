"""Whether a run may go now, given the others with its concurrency key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from octo_controller.reconcile.model import CancelPeer, Observed, Peer
from octo_core.domain.job import ConcurrencyPolicy
from octo_core.domain.run import ResolvedOptions

Order = tuple[int, datetime, str]


@dataclass(frozen=True, slots=True)
class Admitted:
    """It may go."""


@dataclass(frozen=True, slots=True)
class Waits:
    """It waits at this place, from 1; ``victims`` are to be cancelled so that its turn comes."""

    position: int
    victims: tuple[CancelPeer, ...] = ()


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Its key is busy and it does not want to wait."""

    holders: tuple[str, ...]


def order(priority: int, created: datetime, uid: str) -> Order:
    """Sort key of those that wait: higher priority first, then the older one."""
    return (-priority, created, uid)


def admit(seen: Observed, options: ResolvedOptions) -> Admitted | Waits | Forbidden:
    """Decide by who is active and who waits ahead. One that was let go stays so."""
    concurrency = options.concurrency
    if seen.admitted or concurrency.policy is ConcurrencyPolicy.ALLOW:
        return Admitted()
    meta = seen.job.meta
    mine = order(options.priority, meta.creation_timestamp, meta.uid)
    active = [peer for peer in seen.peers if peer.active]
    ahead = sum(peer.waiting and order(peer.priority, peer.created, peer.uid) < mine for peer in seen.peers)
    if len(active) + ahead < concurrency.max:
        return Admitted()
    if concurrency.policy is ConcurrencyPolicy.FORBID:
        return Forbidden(tuple(peer.name for peer in active))
    # Only the first in line replaces: whoever is behind it would only end what is about to start.
    replaces = concurrency.policy is ConcurrencyPolicy.REPLACE and ahead == 0
    return Waits(ahead + 1, _victims(active, concurrency.max) if replaces else ())


def _victims(active: list[Peer], room: int) -> tuple[CancelPeer, ...]:
    """The oldest active ones, as many as must end for one more to have room."""
    surplus = len(active) + 1 - room - sum(peer.cancelled for peer in active)
    oldest = sorted((peer for peer in active if not peer.cancelled), key=lambda peer: (peer.created, peer.uid))
    return tuple(CancelPeer(peer.name, peer.resource_version) for peer in oldest[: max(surplus, 0)])
