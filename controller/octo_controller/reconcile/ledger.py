"""Who is active and who waits, by concurrency key and in the whole namespace, in the order of their turns.

Kept up with every change, so that a decision about one run costs the same whether ten wait or ten thousand.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from octo_controller.reconcile.model import Line, Peer
from octo_core.domain.job import ConcurrencyPolicy

Order = tuple[int, datetime, str]
"""Sort key of those that wait: higher priority first, then the older one, then the uid."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a run that is not over decides whether others may go."""

    uid: str
    name: str
    resource_version: str
    key: str
    policy: ConcurrencyPolicy
    max: int
    priority: int
    created: datetime
    active: bool
    """It was let go: it has an attempt, or is about to."""
    waiting: bool
    """It could go now if there were room: not suspended, not before its time, not cancelled."""
    cancelled: bool

    @property
    def order(self) -> Order:
        """Its place among those that wait."""
        return (-self.priority, self.created, self.uid)

    def makes_room(self, before: Standing) -> bool:
        """Whether others may go now that could not while it was ``before``."""
        gave_up = before.waiting and not (self.waiting or self.active)
        ended = before.active and not self.active
        return gave_up or ended or (before.key, before.order, before.max) != (self.key, self.order, self.max)


class Ledger:
    """Runs that are not over. ``capacity`` is how many may be active in the namespace; None is any number."""

    def __init__(self, *, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._standings: dict[str, Standing] = {}
        self._active: dict[str, dict[str, Standing]] = defaultdict(dict)
        self._busy = 0
        self._waiting: dict[str, list[Order]] = defaultdict(list)
        # Those that wait for the namespace alone: their key has room. In the order of their turns, whatever their key.
        self._hall: list[Order] = []

    def get(self, uid: str) -> Standing | None:
        """What stands here of a run."""
        return self._standings.get(uid)

    def put(self, standing: Standing) -> None:
        """Enter a run, over what stood here of it. One that waits in the hall keeps its place there."""
        known = self._standings.get(standing.uid)
        if known == standing:
            return
        in_hall = known is not None and _holds(self._hall, known.order)
        self.remove(standing.uid)
        self._standings[standing.uid] = standing
        if standing.active:
            self._active[standing.key][standing.uid] = standing
            self._busy += 1
        elif standing.waiting:
            insort(self._waiting[standing.key], standing.order)
            if in_hall:
                insort(self._hall, standing.order)

    def remove(self, uid: str) -> None:
        """Forget a run: it is over, or gone."""
        known = self._standings.pop(uid, None)
        if known is None:
            return
        if known.active:
            self._busy -= 1
            del self._active[known.key][uid]
            if not self._active[known.key]:
                del self._active[known.key]
        elif known.waiting:
            waiting = self._waiting[known.key]
            _discard(waiting, known.order)
            if not waiting:
                del self._waiting[known.key]
            _discard(self._hall, known.order)

    def enter_hall(self, uid: str) -> None:
        """Note that a run waits for the namespace alone."""
        known = self._standings.get(uid)
        if known is not None and known.waiting and not known.active and not _holds(self._hall, known.order):
            insort(self._hall, known.order)

    def line(self, uid: str) -> Line:
        """Where a run stands. Its key's active runs are named only where its policy asks for names."""
        me = self._standings.get(uid)
        if me is None:
            return Line()
        others = self._active.get(me.key, {})
        holders: tuple[Peer, ...] = ()
        if me.policy in (ConcurrencyPolicy.FORBID, ConcurrencyPolicy.REPLACE):
            holders = tuple(
                Peer(other.name, other.uid, other.resource_version, other.created, other.cancelled)
                for other in others.values()
                if other.uid != uid
            )
        return Line(
            busy=len(others) - (uid in others),
            ahead=self._ahead(me),
            holders=holders,
            crowded=self._crowded(me),
            place=bisect_left(self._hall, me.order) + 1,
        )

    def next_in(self, key: str, count: int) -> Iterator[str]:
        """Names of those of a key whose turn comes next."""
        return (self._standings[uid].name for _, _, uid in islice(self._waiting.get(key, ()), count))

    def next_in_hall(self, count: int) -> Iterator[str]:
        """Names of those whose turn comes next in the namespace."""
        return (self._standings[uid].name for _, _, uid in islice(self._hall, count))

    def _ahead(self, me: Standing) -> int:
        return bisect_left(self._waiting.get(me.key, ()), me.order)

    def _has_room(self, me: Standing) -> bool:
        """Whether the key lets it go."""
        if me.policy is ConcurrencyPolicy.ALLOW:
            return True
        return len(self._active.get(me.key, ())) + self._ahead(me) < me.max

    def _crowded(self, me: Standing) -> bool:
        """Whether the namespace has no place for it, or only places for those whose turn is before."""
        if self._capacity is None or me.active:
            return False
        free = self._capacity - self._busy
        if free <= 0:
            return True
        # Whoever lost the room in its key since holds up nobody; it comes back once its key has room again.
        for order in self._hall[: bisect_left(self._hall, me.order)]:
            if not self._has_room(self._standings[order[2]]):
                _discard(self._hall, order)
            elif free == 1:
                return True
            else:
                free -= 1
        return False


def _holds(orders: list[Order], order: Order) -> bool:
    place = bisect_left(orders, order)
    return place < len(orders) and orders[place] == order


def _discard(orders: list[Order], order: Order) -> None:
    place = bisect_left(orders, order)
    if place < len(orders) and orders[place] == order:
        del orders[place]
