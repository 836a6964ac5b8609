"""Settings of a process: environment over mounted secret files over a YAML file over defaults.

Every variable is ``OCTO_<FIELD>``. A secret comes as a file of the lower-case name
(``octo_database_url``) in ``OCTO_SECRETS_DIR``, so that it need not stand in the environment.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

DEFAULT_SECRETS_DIR = "/run/secrets/octo"


class Settings(BaseSettings):
    """What every process has. Read once, at start, and passed down."""

    model_config = SettingsConfigDict(env_prefix="OCTO_", extra="ignore", frozen=True)

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        secrets = Path(os.environ.get("OCTO_SECRETS_DIR", DEFAULT_SECRETS_DIR))
        if secrets.is_dir():
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=secrets))
        file = os.environ.get("OCTO_CONFIG_FILE")
        if file:
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=file))
        return tuple(sources)


class ClusterSettings(Settings):
    """For a process that talks to Kubernetes."""

    kubeconfig: str | None = Field(
        default=None, description="Path of a kubeconfig; without it the pod's own ServiceAccount is used."
    )
    namespace: str = Field(default="octo", description="The namespace whose OctoJobs and OctoProviders are served.")


class DatabaseSettings(Settings):
    """For a process that talks to Postgres."""

    database_url: SecretStr = Field(description="postgresql://user:password@host:port/database")
    database_pool_size: int = Field(default=10, ge=1, le=200)
    database_statement_timeout_seconds: float = Field(default=10.0, gt=0)
