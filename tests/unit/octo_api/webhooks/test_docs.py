"""What docs/ tell a receiver works, and the events they list are all there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from octo_api.webhooks import signing
from octo_core.domain.events import MEANINGS

DOCS = Path(__file__).parents[4] / "docs"


def verifier() -> Callable[..., bool]:
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "webhooks.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[..., bool] = names["verify"]
    return found


def test_the_snippet_takes_what_octo_sends_and_nothing_else() -> None:
    verify = verifier()
    secrets = [signing.derive("p" * 32, "wh_a", salt) for salt in ("new", "old")]
    body = b'{"id":1}'
    headers = signing.headers(secrets, "msg_wh_a_1", 1000, body)

    def taken(secret: bytes, headers: Mapping[str, str] = headers, body: bytes = body, at: float = 1001) -> bool:
        return verify(signing.text_of(secret), headers, body, now=lambda: at)

    assert all(taken(secret) for secret in secrets)
    assert not taken(signing.derive("p" * 32, "wh_a", "other"))
    assert not taken(secrets[0], body=b'{"id":2}')
    assert not taken(secrets[0], headers={**headers, "webhook-id": "msg_wh_a_2"})
    assert not taken(secrets[0], headers={**headers, "webhook-timestamp": "1001"})
    assert not taken(secrets[0], at=1400)


def test_every_event_is_told() -> None:
    rows = re.findall(r"^\| `([a-z]+\.[a-z]+)` \| (.+) \|$", (DOCS / "events.md").read_text(), re.MULTILINE)
    assert rows == [(kind.value, meaning) for kind, meaning in MEANINGS.items()]
