"""What webhooks are made of, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import octo_api
from octo_api.audit.intents import Intents
from octo_api.metrics import Metrics
from octo_api.settings import ApiSettings
from octo_api.webhooks.addresses import AddressPolicy
from octo_api.webhooks.deliverer import Deliverer
from octo_api.webhooks.sender import Sender
from octo_api.webhooks.service import WebhookService
from octo_core.db.session import Database


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The parts that a process holds. The sender is to be closed."""

    service: WebhookService
    deliverer: Deliverer
    sender: Sender


def assemble(
    settings: ApiSettings,
    database: Database,
    *,
    intents: Intents,
    clock: Callable[[], datetime],
    random: Callable[[int], bytes],
    metrics: Metrics,
) -> Webhooks:
    """Make them, within a running loop."""
    policy = AddressPolicy(settings.webhook_allowed_networks, settings.webhook_denied_networks)
    sender = Sender(
        policy,
        timeout_seconds=settings.webhook_timeout_seconds,
        ca_file=settings.webhook_ca_file,
        user_agent=f"Octo/{octo_api.__version__}",
    )
    deliverer = Deliverer(
        database,
        sender,
        keys=settings.webhook_signing_keys,
        clock=clock,
        chance=lambda: int.from_bytes(random(4), "big") / 2**32,
        disable_after=settings.webhook_disable_after,
        kept=settings.webhook_retention,
        concurrency=settings.webhook_concurrency,
        lease=settings.webhook_lease,
        metrics=metrics,
    )
    service = WebhookService(
        database,
        deliverer,
        policy=policy,
        allow_http=settings.webhook_allow_http,
        at_most=settings.webhooks_per_namespace,
        key=settings.webhook_signing_keys[0],
        intents=intents,
        clock=clock,
        random=random,
    )
    return Webhooks(service, deliverer, sender)
