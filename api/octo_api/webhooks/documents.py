"""Webhooks and deliveries as they are shown."""

from __future__ import annotations

from octo_api.webhooks.schemas import Delivery, Webhook, WebhookWithSecret
from octo_core.db import webhook_deliveries, webhooks
from octo_core.db.webhook_deliveries import DeliveryState
from octo_core.domain.events import EventType


def webhook_of(webhook: webhooks.Webhook) -> Webhook:
    """The representation of a webhook, without its secret."""
    return Webhook(
        id=webhook.id,
        namespace=webhook.namespace,
        name=webhook.name,
        url=webhook.url,
        description=webhook.description,
        types=tuple(EventType(kind) for kind in webhook.types),
        providers=tuple(webhook.providers),
        job_id=webhook.job_uid,
        enabled=webhook.disabled_at is None,
        disabled_at=webhook.disabled_at,
        disabled_reason=webhook.disabled_reason,
        failing_since=webhook.failing_since,
        previous_secret_until=webhook.previous_until,
        created_at=webhook.created_at,
        created_by=webhook.created_by,
    )


def with_secret(webhook: webhooks.Webhook, secret: str) -> WebhookWithSecret:
    """The same, with it."""
    return WebhookWithSecret(**webhook_of(webhook).model_dump(), secret=secret)


def delivery_of(delivery: webhook_deliveries.Delivery) -> Delivery:
    """The representation of a message."""
    pending = delivery.state == DeliveryState.PENDING
    return Delivery(
        id=delivery.id,
        event_id=delivery.position,
        type=delivery.type,
        state=DeliveryState(delivery.state),
        attempts=delivery.attempts,
        created_at=delivery.created_at,
        last_attempt_at=delivery.attempted_at,
        next_attempt_at=delivery.due_at if pending else None,
        response_status=delivery.status,
        response_body=delivery.response,
        error=delivery.error,
        duration_milliseconds=delivery.milliseconds,
    )
