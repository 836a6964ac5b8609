"""The command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from octo_api.__main__ import main
from octo_api.commands import check_scopes, parse_expiry
from octo_core.domain.errors import InvalidError

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("30m", NOW + timedelta(minutes=30)),
        ("2026-02-01T00:00:00+01:00", datetime(2026, 1, 31, 23, tzinfo=UTC)),
        ("2026-02-01", datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_expiry(text: str, expected: datetime) -> None:
    assert parse_expiry(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["0d", "soon", "-1d", "2025-01-01", ""])
def test_no_expiry(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_expiry(text, now=NOW)


def test_scopes() -> None:
    assert check_scopes(["jobs:read", "jobs:read", "*"]) == ("jobs:read", "*")
    with pytest.raises(InvalidError, match="jobs:reed"):
        check_scopes(["jobs:reed"])


def test_wrong_settings_are_named_without_their_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OCTO_DATABASE_URL", "postgresql://x@127.0.0.1:1/x")
    monkeypatch.setenv("OCTO_API_KEY_PEPPER", "too-short-pepper")
    assert main(["create-key", "--subject", "x", "--scope", "*"]) == 2
    told = capsys.readouterr().err
    assert "OCTO_API_KEY_PEPPER" in told
    assert "too-short" not in told
