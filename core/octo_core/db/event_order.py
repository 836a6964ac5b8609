"""The one step by which events get their place, and with it whatever hangs on that."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db import events, webhook_deliveries
from octo_core.db.events import Bounds


async def advance(session: AsyncSession) -> Bounds | None:
    """Give committed events their positions, and each webhook that wants one its delivery, both or neither.

    As ``events.sequence``, which nothing but this may call where webhooks are to be told.
    """
    given = await events.sequence(session)
    if given is not None:
        await webhook_deliveries.fill(session, given)
    return given
