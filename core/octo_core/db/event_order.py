"""The one step by which events get their place, and with it whatever hangs on that."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db import events, webhook_deliveries


@dataclass(frozen=True, slots=True)
class Advance:
    """How many events have their place now, and how many deliveries of webhooks came of them."""

    events: int
    deliveries: int


async def advance(session: AsyncSession) -> Advance:
    """Give committed events their positions, and each webhook that wants one its delivery, both or neither.

    As ``events.sequence``, which nothing but this may call where webhooks are to be told.
    """
    given = await events.sequence(session)
    if given is None:
        return Advance(0, 0)
    return Advance(given.head - given.floor, await webhook_deliveries.fill(session, given))
