"""``/v1/webhooks``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Path, Response

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.paging import Cursor, Limit, Namespace
from octo_api.routing.base import BaseRouter
from octo_api.webhooks.documents import delivery_of, webhook_of, with_secret
from octo_api.webhooks.schemas import (
    Delivery,
    DeliveryPage,
    RotateSecretRequest,
    Webhook,
    WebhookPage,
    WebhookPatch,
    WebhookRequest,
    WebhookWithSecret,
)
from octo_core.db.webhook_deliveries import DeliveryState

WebhookId = Annotated[str, Path(max_length=32, pattern="^wh_[a-z2-7]+$")]
DeliveryId = Annotated[str, Path(max_length=80, pattern="^msg_wh_[a-z2-7]+_[a-z0-9]+$")]


class WebhookRouter(BaseRouter):
    """Who is told of events."""

    prefix = "/v1/webhooks"
    tag = "webhooks"

    def register_routes(self) -> None:
        read, write = Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE
        one, log = "/{webhook_id}", "/{webhook_id}/deliveries"
        self.add("GET", "", self.get_webhooks, access=read, action="webhooks.list")
        self.add("POST", "", self.create, access=write, action="webhooks.create", status=201, errors=(409,))
        self.add("GET", one, self.get, access=read, action="webhooks.get", errors=(404,))
        self.add("PATCH", one, self.change, access=write, action="webhooks.update", errors=(404,))
        self.add("DELETE", one, self.remove, access=write, action="webhooks.delete", status=204, errors=(404,))
        self.add("POST", f"{one}:test", self.test, access=write, action="webhooks.test", errors=(404,))
        self.add(
            "POST", f"{one}:rotate-secret", self.rotate, access=write, action="webhooks.rotate_secret", errors=(404,)
        )
        self.add("GET", log, self.deliveries, access=read, action="webhooks.deliveries", errors=(404,))
        self.add(
            "POST",
            f"{log}/{{delivery_id}}:redeliver",
            self.redeliver,
            access=write,
            action="webhooks.redeliver",
            status=202,
            errors=(404, 409),
        )

    async def get_webhooks(
        self,
        services: ServicesDep,
        caller: CallerDep,
        namespace: Namespace = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> WebhookPage:
        """List webhooks by namespace and name."""
        if namespace is not None:
            caller.require_namespace(namespace)
        of = {"list": "webhooks", "namespace": namespace}
        after: tuple[str, str] | None = None
        if cursor is not None:
            last_namespace, last_name = services.cursors.decode(cursor, of=of)
            after = (last_namespace, last_name)
        wanted = (namespace,) if namespace is not None else caller.visible_namespaces()
        found = await services.webhooks.page(wanted, after=after, limit=limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return WebhookPage(
            items=tuple(map(webhook_of, page)),
            next_cursor=services.cursors.encode((page[-1].namespace, page[-1].name), of=of) if more else None,
        )

    async def create(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, response: Response, body: WebhookRequest
    ) -> WebhookWithSecret:
        """Have events sent to a URL, from now on. The answer shows the secret that signs them, this once."""
        context.namespace = body.namespace or services.namespace
        webhook, secret = await services.webhooks.create(caller, body, context.namespace)
        context.resource = webhook.id
        response.headers["Location"] = f"{self.prefix}/{webhook.id}"
        return with_secret(webhook, secret)

    async def get(self, services: ServicesDep, caller: CallerDep, webhook_id: WebhookId) -> Webhook:
        """One webhook."""
        return webhook_of(await services.webhooks.get(caller, webhook_id))

    async def change(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, webhook_id: WebhookId, body: WebhookPatch
    ) -> Webhook:
        """Change what is named of a webhook; disable it, or enable it again."""
        context.resource = webhook_id
        webhook = await services.webhooks.change(caller, webhook_id, body)
        context.namespace = webhook.namespace
        return webhook_of(webhook)

    async def remove(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, webhook_id: WebhookId
    ) -> Response:
        """Delete a webhook, with the log of its deliveries."""
        context.resource = webhook_id
        webhook = await services.webhooks.remove(caller, webhook_id)
        context.namespace = webhook.namespace
        return Response(status_code=204)

    async def test(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, webhook_id: WebhookId
    ) -> Delivery:
        """Send a `webhook.test` now, once, and say how that went."""
        context.resource = webhook_id
        webhook, delivery = await services.webhooks.test(caller, webhook_id)
        context.namespace = webhook.namespace
        return delivery_of(delivery)

    async def rotate(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        webhook_id: WebhookId,
        body: RotateSecretRequest | None = None,
    ) -> WebhookWithSecret:
        """Make a new secret, shown this once. For a while messages are signed with both."""
        context.resource = webhook_id
        overlap = timedelta(seconds=(body or RotateSecretRequest()).overlap_seconds)
        webhook, secret = await services.webhooks.rotate(caller, webhook_id, overlap=overlap)
        context.namespace = webhook.namespace
        return with_secret(webhook, secret)

    async def deliveries(
        self,
        services: ServicesDep,
        caller: CallerDep,
        webhook_id: WebhookId,
        state: DeliveryState | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> DeliveryPage:
        """What was sent to a webhook, the newest first."""
        of = {"list": "deliveries", "webhook": webhook_id, "state": state}
        before = int(services.cursors.decode(cursor, of=of)[0]) if cursor is not None else None
        found = await services.webhooks.deliveries(caller, webhook_id, state=state, before=before, limit=limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return DeliveryPage(
            items=tuple(map(delivery_of, page)),
            next_cursor=services.cursors.encode((str(page[-1].number),), of=of) if more else None,
        )

    async def redeliver(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        webhook_id: WebhookId,
        delivery_id: DeliveryId,
    ) -> Delivery:
        """Have a message tried anew, from the start of the schedule, under its id."""
        context.resource = webhook_id
        webhook, delivery = await services.webhooks.send_again(caller, webhook_id, delivery_id)
        context.namespace = webhook.namespace
        return delivery_of(delivery)
