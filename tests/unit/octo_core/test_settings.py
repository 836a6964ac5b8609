"""Environment over secret files over the config file."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from octo_core.settings import DatabaseSettings


def test_a_secret_comes_from_a_file_and_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "octo_database_url").write_text("postgresql://octo:hunter2@db/octo")
    monkeypatch.setenv("OCTO_SECRETS_DIR", str(tmp_path))
    settings = DatabaseSettings()
    assert settings.database_url.get_secret_value().endswith("@db/octo")
    assert "hunter2" not in repr(settings)


def test_environment_over_secret_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "octo_log_level").write_text("ERROR")
    (tmp_path / "octo_database_url").write_text("postgresql://from-secret")
    config = tmp_path / "octo.yaml"
    config.write_text("database_url: postgresql://from-file\nlog_level: WARNING\ndatabase_pool_size: 3\n")
    monkeypatch.setenv("OCTO_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("OCTO_CONFIG_FILE", str(config))
    monkeypatch.setenv("OCTO_LOG_LEVEL", "DEBUG")
    settings = DatabaseSettings()
    assert settings.log_level == "DEBUG"
    assert settings.database_url.get_secret_value() == "postgresql://from-secret"
    assert settings.database_pool_size == 3


def test_a_missing_setting_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCTO_DATABASE_URL", raising=False)
    with pytest.raises(ValidationError, match="database_url"):
        DatabaseSettings()
