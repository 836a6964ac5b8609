"""The two handlers: what kopf sees goes to the sink, and nothing comes back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import kopf

from octo_core.domain.names import GROUP, VERSION

Raw = dict[str, Any]
Sink = Callable[[str, Raw, bool], None]
"""Called with the kind, the object, and whether it is gone."""

logger = logging.getLogger(__name__)


def register(registry: kopf.OperatorRegistry, sink: Sink) -> None:
    """Put the handlers on ``registry``: OctoJobs and OctoProviders."""

    def forward(kind: str, event: Any) -> None:
        try:
            sink(kind, event["object"], event["type"] == "DELETED")
        except BaseException:
            logger.exception("an event of %s was not taken in", kind)

    @kopf.on.event(GROUP, VERSION, "octojobs", registry=registry)
    async def on_octojob(event: Any, **_: Any) -> None:
        forward("OctoJob", event)

    @kopf.on.event(GROUP, VERSION, "octoproviders", registry=registry)
    async def on_octoprovider(event: Any, **_: Any) -> None:
        forward("OctoProvider", event)
