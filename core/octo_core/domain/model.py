"""The base of every document model: camelCase on the wire, snake_case in code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


def rfc3339(value: datetime) -> str:
    """Kubernetes' own time format: RFC 3339, UTC, whole seconds (``metav1.Time``)."""
    # Several times as fast as strftime, and statuses are full of times.
    return value.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


_FIRST_AND_LAST_DAY = ("0001-01-01", "9999-12-31")


def _as_in_rfc3339(value: Any) -> Any:
    """Pydantic takes more: seconds since 1970, times without seconds or with a space."""
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        if value.startswith(_FIRST_AND_LAST_DAY) and value[-1] not in "Zz":
            # In UTC it might lie in a year that there is none of, and everything is reckoned in UTC.
            raise ValueError("a time on the first or the last day of the calendar has to be in UTC")
        return value
    if isinstance(value, datetime):
        return value
    raise ValueError("not a time as in RFC 3339, such as 2026-01-02T15:04:05Z")


Moment = Annotated[AwareDatetime, BeforeValidator(_as_in_rfc3339)]
"""A time that is given: RFC 3339 and nothing else."""

Time = Annotated[
    Moment,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


class Model(BaseModel):
    """A document in camelCase. Unknown fields are an error, so that a typo never passes in silence.

    A reader of objects that a newer Octo may have written calls
    ``model_validate(data, extra="ignore")``.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
