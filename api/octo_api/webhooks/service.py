"""Webhooks as their users handle them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from octo_api.audit.intents import Intents
from octo_api.auth.caller import Caller
from octo_api.errors import DeliveryNotFoundError, WebhookNotFoundError
from octo_api.webhooks import signing
from octo_api.webhooks.addresses import AddressPolicy
from octo_api.webhooks.deliverer import Deliverer
from octo_api.webhooks.schemas import WebhookPatch, WebhookRequest
from octo_api.webhooks.sender import REFUSED
from octo_core.db import webhook_deliveries, webhooks
from octo_core.db.session import AsyncSession, Database
from octo_core.db.webhook_deliveries import Delivery, DeliveryState
from octo_core.db.webhooks import Webhook
from octo_core.domain.errors import AlreadyExistsError, ConflictError, InvalidError
from octo_core.domain.events import EventType
from octo_core.domain.model import rfc3339

REQUESTED = "Requested"
_TEST_LEASE = timedelta(seconds=60)


class WebhookService:
    """Makes, shows, changes, tests and removes webhooks, each for callers of its namespace only."""

    def __init__(
        self,
        database: Database,
        deliverer: Deliverer,
        *,
        policy: AddressPolicy,
        allow_http: bool,
        at_most: int,
        key: str,
        intents: Intents,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._deliverer = deliverer
        self._policy = policy
        self._allow_http = allow_http
        self._at_most = at_most
        self._key = key
        self._intents = intents
        self._clock = clock
        self._random = random

    async def create(self, caller: Caller, request: WebhookRequest, namespace: str) -> tuple[Webhook, str]:
        """A new webhook, and its secret. Raises ForbiddenError, InvalidError, or AlreadyExistsError."""
        caller.require_namespace(namespace)
        self._check_url(request.url)
        webhook = Webhook(
            id=f"wh_{self._token(10)}",
            namespace=namespace,
            name=request.name,
            url=request.url,
            description=request.description,
            types=[str(kind) for kind in request.types],
            providers=list(request.providers),
            job_uid=request.job_id,
            salt=self._token(20),
            created_at=self._clock(),
            created_by=caller.subject,
        )
        async with self._database.transaction() as session:
            made = await webhooks.create(session, webhook, at_most=self._at_most)
            if made:
                await self._intents.within(session, resource=webhook.id)
        if not made:
            raise AlreadyExistsError(
                f"namespace {namespace} has a webhook {request.name}, or {self._at_most} others, which is the most"
            )
        return webhook, self._secret(webhook)

    async def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """One webhook. Raises WebhookNotFoundError."""
        async with self._database.transaction() as session:
            return await self._find(session, caller, webhook_id)

    async def page(
        self, namespaces: tuple[str, ...] | None, *, after: tuple[str, str] | None, limit: int
    ) -> list[Webhook]:
        """Webhooks by namespace and name."""
        async with self._database.transaction() as session:
            return await webhooks.page(session, namespaces=namespaces, after=after, limit=limit)

    async def change(self, caller: Caller, webhook_id: str, request: WebhookPatch) -> Webhook:
        """Change what is named. Raises WebhookNotFoundError or InvalidError."""
        if request.url is not None:
            self._check_url(request.url)
        values: dict[str, Any] = request.model_dump(exclude_unset=True, exclude_none=True, exclude={"enabled"})
        for name in ("types", "providers"):
            if name in values:
                values[name] = [str(value) for value in values[name]]
        async with self._database.transaction() as session:
            webhook = await self._find(session, caller, webhook_id, lock=True)
            if request.enabled is True:
                values |= {"disabled_at": None, "disabled_reason": None, "failing_since": None}
            elif request.enabled is False and webhook.disabled_at is None:
                values |= {"disabled_at": self._clock(), "disabled_reason": REQUESTED}
            if values:
                await webhooks.change(session, webhook_id, values)
                await self._intents.within(session, namespace=webhook.namespace)
        self._deliverer.hint()
        return replace(webhook, **values)

    async def rotate(self, caller: Caller, webhook_id: str, *, overlap: timedelta) -> tuple[Webhook, str]:
        """A new secret; for ``overlap`` messages are signed with both. Raises WebhookNotFoundError."""
        async with self._database.transaction() as session:
            webhook = await self._find(session, caller, webhook_id, lock=True)
            values: dict[str, Any] = {
                "salt": self._token(20),
                "previous_salt": webhook.salt if overlap else None,
                "previous_until": self._clock() + overlap if overlap else None,
            }
            await webhooks.change(session, webhook_id, values)
            await self._intents.within(session, namespace=webhook.namespace)
        rotated = replace(webhook, **values)
        return rotated, self._secret(rotated)

    async def remove(self, caller: Caller, webhook_id: str) -> Webhook:
        """Delete it, with its log of deliveries. Raises WebhookNotFoundError."""
        async with self._database.transaction() as session:
            webhook = await self._find(session, caller, webhook_id, lock=True)
            await webhooks.remove(session, webhook_id)
            await self._intents.within(session, namespace=webhook.namespace)
        return webhook

    async def test(self, caller: Caller, webhook_id: str) -> tuple[Webhook, Delivery]:
        """Send a ``webhook.test`` now, once; the delivery says how that went. Raises WebhookNotFoundError."""
        async with self._database.transaction() as session:
            webhook = await self._find(session, caller, webhook_id)
            body = {
                "type": EventType.WEBHOOK_TEST.value,
                "version": 1,
                "timestamp": rfc3339(self._clock()),
                "namespace": webhook.namespace,
                "data": {"webhookId": webhook.id, "webhookName": webhook.name},
            }
            delivery = await webhook_deliveries.create_test(
                session,
                delivery_id=f"msg_{webhook.id}_{self._token(10)}",
                webhook_id=webhook.id,
                kind=EventType.WEBHOOK_TEST.value,
                body=body,
                lease=_TEST_LEASE,
            )
            await self._intents.within(session, namespace=webhook.namespace)
        await self._deliverer.deliver(webhook, delivery, retried=False)
        return webhook, await self.delivery(caller, webhook_id, delivery.id)

    async def deliveries(
        self, caller: Caller, webhook_id: str, *, state: DeliveryState | None, before: int | None, limit: int
    ) -> list[Delivery]:
        """The log of a webhook, the newest first. Raises WebhookNotFoundError."""
        async with self._database.transaction() as session:
            await self._find(session, caller, webhook_id)
            return await webhook_deliveries.page(session, webhook_id, state=state, before=before, limit=limit)

    async def delivery(self, caller: Caller, webhook_id: str, delivery_id: str) -> Delivery:
        """One message. Raises WebhookNotFoundError or DeliveryNotFoundError."""
        async with self._database.transaction() as session:
            await self._find(session, caller, webhook_id)
            found = await webhook_deliveries.get(session, webhook_id, delivery_id)
        if found is None:
            raise DeliveryNotFoundError(f"there is no delivery {delivery_id}")
        return found

    async def send_again(self, caller: Caller, webhook_id: str, delivery_id: str) -> tuple[Webhook, Delivery]:
        """Have a message tried anew, under its id.

        Raises WebhookNotFoundError, DeliveryNotFoundError, or ConflictError while the webhook is disabled.
        """
        async with self._database.transaction() as session:
            webhook = await self._find(session, caller, webhook_id, lock=True)
            if webhook.disabled_at is not None:
                raise ConflictError("the webhook is disabled: enable it first")
            found = await webhook_deliveries.send_again(session, webhook_id, delivery_id)
            if found is not None:
                await self._intents.within(session, namespace=webhook.namespace)
        if found is None:
            raise DeliveryNotFoundError(f"there is no delivery {delivery_id}")
        self._deliverer.hint()
        return webhook, found

    async def _find(self, session: AsyncSession, caller: Caller, webhook_id: str, *, lock: bool = False) -> Webhook:
        webhook = await webhooks.get(session, webhook_id, lock=lock)
        if webhook is None or not caller.may_use(webhook.namespace):
            raise WebhookNotFoundError(f"there is no webhook {webhook_id}")
        return webhook

    def _check_url(self, url: str) -> None:
        """What can be known without asking DNS; each delivery checks the address it really connects to."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not self._allow_http:
            raise InvalidError("webhooks need https:// on this server", field="/url")
        host = parts.hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return
        if not self._policy.permits(host):
            raise InvalidError(REFUSED, field="/url")

    def _secret(self, webhook: Webhook) -> str:
        return signing.text_of(signing.derive(self._key, webhook.id, webhook.salt))

    def _token(self, size: int) -> str:
        return base64.b32encode(self._random(size)).decode().lower()
