"""Settings of the console."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from octo_api.auth.settings import AuthSettings


class ConsoleSettings(AuthSettings):
    """Whether there is a console, and how one signs in to it besides by API key."""

    console_enabled: bool = Field(default=True, description="Serve the console at `/console/`.")
    console_oidc_client_id: str | None = Field(
        default=None,
        min_length=1,
        description="A public client of the OIDC issuer, with which the console signs people in; then it has to be "
        "what `oidc_audience` names.",
    )
    console_oidc_scope: str = Field(default="openid profile email", pattern=r"^openid( \S+)*$")
    console_oidc_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins that the issuer's endpoints lie on, besides its own: the page may ask no others.",
    )

    @model_validator(mode="after")
    def _check_console(self) -> Self:
        if self.console_oidc_client_id is not None and self.console_oidc_client_id != self.oidc_audience:
            raise ValueError("console_oidc_client_id has to be oidc_audience: that is whom its tokens are made for")
        return self
