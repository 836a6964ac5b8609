"""Empties the outbox of webhooks. Any number of processes do it together, by leases."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_json

from octo_api.events.schemas import document
from octo_api.metrics import Metrics
from octo_api.webhooks import signing
from octo_api.webhooks.outcome import judge
from octo_api.webhooks.sender import Sender
from octo_core.db import events, webhook_deliveries, webhooks
from octo_core.db.session import Database
from octo_core.db.webhook_deliveries import Attempt, Delivery, DeliveryState
from octo_core.db.webhooks import Webhook
from octo_core.domain.errors import OctoError

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
_EACH = 4
"""Deliveries to one webhook at a time, so that a slow endpoint does not hold up the others."""
_RETRY_SECONDS = 1.0


class Deliverer:
    """Sends what is due. A message is marked only after its answer, so that it is sent at least once.

    Whoever takes one has it for ``lease``, which must be longer than a try: if they are killed, another follows then.
    """

    def __init__(
        self,
        database: Database,
        sender: Sender,
        *,
        keys: Sequence[str],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        disable_after: timedelta,
        kept: timedelta,
        concurrency: int,
        lease: timedelta,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._sender = sender
        self._keys = keys
        self._clock = clock
        self._chance = chance
        self._disable_after = disable_after
        self._kept = kept
        self._concurrency = concurrency
        self._lease = lease
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._busy: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def hint(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then is sent again by another, after its lease."""
        try:
            while True:
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                await self._take()
        finally:
            for task in self._tasks:
                task.cancel()

    async def forget(self) -> None:
        """Delete what ended long ago. Raises DatabaseUnavailableError."""
        gone = 1
        while gone:
            async with self._database.transaction() as session:
                gone = await webhook_deliveries.delete_over(session, older_than=self._clock() - self._kept)

    async def deliver(self, webhook: Webhook, delivery: Delivery, *, retried: bool = True) -> None:
        """Make one try of a delivery that was claimed, and write how it ended. Raises DatabaseUnavailableError."""
        body = await self._body(delivery)
        if body is None:
            attempt = Attempt(None, "the event's run is not kept any more", None, 0)
            async with self._database.transaction() as session:
                await webhook_deliveries.note(session, delivery, attempt, state=DeliveryState.FAILED, wait=None)
            return
        raw, now = to_json(body), self._clock()
        headers = signing.headers(self._secrets(webhook, now), delivery.id, int(now.timestamp()), raw)
        answer = await self._sender.post(webhook.url, headers=headers, body=raw)
        verdict = judge(answer, attempts=delivery.attempts, chance=self._chance(), retried=retried)
        attempt = Attempt(answer.status, verdict.error, answer.body, answer.milliseconds)
        self._metrics.webhook_deliveries.labels("delivered" if verdict.error is None else "failed").inc()
        now = self._clock()
        async with self._database.transaction() as session:
            await webhook_deliveries.note(session, delivery, attempt, state=verdict.state, wait=verdict.wait)
            if verdict.error is None:
                await webhooks.succeeded(session, webhook.id)
            elif retried:
                before = now if verdict.gone else now - self._disable_after
                reason = "EndpointGone" if verdict.gone else "EndpointFailing"
                if await webhooks.failed(session, webhook.id, now=now, disable_before=before, reason=reason):
                    logger.warning("webhook disabled", extra={"webhook": webhook.id, "cause": verdict.error})

    def _secrets(self, webhook: Webhook, now: datetime) -> list[bytes]:
        salts = [webhook.salt]
        if webhook.previous_salt is not None and webhook.previous_until is not None and now < webhook.previous_until:
            salts.append(webhook.previous_salt)
        # While an old key is given, secrets that came of it sign too.
        return [signing.derive(key, webhook.id, salt) for salt in salts for key in self._keys]

    async def _body(self, delivery: Delivery) -> dict[str, Any] | None:
        if delivery.position is None:
            return delivery.body
        async with self._database.transaction() as session:
            event = await events.at(session, delivery.position)
        return None if event is None else document(event, delivery.position)

    async def _take(self) -> None:
        """Claim what is due and begin to send it, as far as there is room."""
        try:
            while (room := self._concurrency - len(self._tasks)) > 0:
                busy = [webhook for webhook, count in self._busy.items() if count > 0]
                async with self._database.transaction() as session:
                    claimed = await webhook_deliveries.claim(
                        session, lease=self._lease, each=_EACH, most=room, busy=busy
                    )
                if not claimed:
                    return
                for delivery in claimed:
                    self._begin(delivery)
        except OctoError as error:
            logger.warning("webhooks wait", extra={"cause": error.detail})
            await asyncio.sleep(_RETRY_SECONDS)
        except Exception:
            # Nobody awaits this task: what escapes here would end all deliveries in silence.
            logger.exception("webhooks wait")
            await asyncio.sleep(_RETRY_SECONDS)

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._one(delivery))
        self._busy[delivery.webhook_id] += 1
        self._tasks.add(task)

        def over(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            self._busy[delivery.webhook_id] -= 1
            if not self._busy[delivery.webhook_id]:
                del self._busy[delivery.webhook_id]
            self._wake.set()

        task.add_done_callback(over)

    async def _one(self, delivery: Delivery) -> None:
        try:
            async with self._database.transaction() as session:
                webhook = await webhooks.get(session, delivery.webhook_id)
            if webhook is not None:
                await self.deliver(webhook, delivery)
        except OctoError as error:
            logger.warning("a delivery will be repeated", extra={"delivery": delivery.id, "cause": error.detail})
        except Exception:
            logger.exception("a delivery will be repeated", extra={"delivery": delivery.id})
