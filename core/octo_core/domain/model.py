"""The base of every document model: camelCase on the wire, snake_case in code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


def rfc3339(value: datetime) -> str:
    """Kubernetes' own time format: RFC 3339, UTC, whole seconds (``metav1.Time``)."""
    # Several times as fast as strftime, and statuses are full of times.
    return value.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


Time = Annotated[
    AwareDatetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


class Model(BaseModel):
    """A document in camelCase. Unknown fields are an error, so that a typo never passes in silence.

    A reader of objects that a newer Octo may have written calls
    ``model_validate(data, extra="ignore")``.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
