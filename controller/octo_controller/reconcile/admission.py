"""Whether a run may go now, given the others with its concurrency key and those in its namespace."""

from __future__ import annotations

from dataclasses import dataclass

from octo_controller.reconcile.model import CancelPeer, Line, Observed
from octo_core.domain.job import ConcurrencyPolicy
from octo_core.domain.run import ResolvedOptions


@dataclass(frozen=True, slots=True)
class Admitted:
    """It may go."""


@dataclass(frozen=True, slots=True)
class Waits:
    """It waits for its key, at this place from 1; ``victims`` are to be cancelled so that its turn comes."""

    position: int
    victims: tuple[CancelPeer, ...] = ()


@dataclass(frozen=True, slots=True)
class Crowded:
    """Its key has room, but the namespace has not: it waits at this place, from 1."""

    position: int


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Its key is busy and it does not want to wait."""

    holders: tuple[str, ...]


def admit(seen: Observed, options: ResolvedOptions) -> Admitted | Waits | Crowded | Forbidden:
    """Decide by who is active and who waits ahead. One that was let go stays so."""
    concurrency, line = options.concurrency, seen.line
    if seen.admitted:
        return Admitted()
    if concurrency.policy is not ConcurrencyPolicy.ALLOW and line.busy + line.ahead >= concurrency.max:
        if concurrency.policy is ConcurrencyPolicy.FORBID:
            return Forbidden(tuple(peer.name for peer in line.holders))
        # Only the first in line replaces: whoever is behind it would only end what is about to start.
        replaces = concurrency.policy is ConcurrencyPolicy.REPLACE and line.ahead == 0
        return Waits(line.ahead + 1, _victims(line, concurrency.max) if replaces else ())
    return Crowded(line.place) if line.crowded else Admitted()


def _victims(line: Line, room: int) -> tuple[CancelPeer, ...]:
    """The oldest active ones, as many as must end for one more to have room."""
    surplus = line.busy + 1 - room - sum(peer.cancelled for peer in line.holders)
    oldest = sorted((peer for peer in line.holders if not peer.cancelled), key=lambda peer: (peer.created, peer.uid))
    return tuple(CancelPeer(peer.name, peer.resource_version) for peer in oldest[: max(surplus, 0)])
