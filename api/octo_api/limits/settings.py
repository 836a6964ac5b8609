"""Settings of how much one caller or request may take."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from pydantic import Field

from octo_core.settings import Settings


class LimitSettings(Settings):
    """Limits hold in each replica by itself."""

    max_body_bytes: int = Field(default=1 << 20, ge=1024)
    max_header_bytes: int = Field(default=65_536, ge=1024, description="Request line and headers together.")
    header_timeout_seconds: float = Field(default=10, gt=0, description="For all of a request's headers to arrive.")
    body_timeout_seconds: float = Field(default=30, gt=0, description="For all of a request's body to arrive.")
    request_timeout_seconds: float = Field(default=60, gt=0, description="Until an answer begins.")
    max_in_flight: int = Field(
        default=400, ge=1, description="Requests without an answer yet; more get 503 at once. Probes are not counted."
    )
    rate_limit_requests: int = Field(
        default=6000, ge=0, description="What each caller may ask in each window; 0 for no limit."
    )
    rate_limit_window_seconds: int = Field(default=10, ge=1, le=3600)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="Networks of proxies whose X-Forwarded-For is believed."
    )
