"""Where a bucket is reached. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from octo_core.domain.failure import Category
from octo_core.domain.provider import S3Destination
from octo_worker.failure import Failed


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket's place on the network."""

    scheme: str
    host: str
    """As in the Host header, with the bucket in it for virtual-host addressing."""
    base: str
    """Path of the bucket, without a slash at its end."""

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return f"{self.scheme}://{self.host}"

    def target(self, key: str, query: Mapping[str, str]) -> str:
        """The request target of an object, or of the bucket with the empty key: escaped as S3 signs it."""
        path = f"{self.base}/{quote(key, safe='/~')}"
        pairs = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query.items())
        return f"{path}?{pairs}" if pairs else path


def address_of(settings: S3Destination) -> Address:
    """The bucket's address; raises ``Failed`` for an endpoint that is none."""
    endpoint = settings.endpoint or _aws(settings.region)
    message = "destination.s3.endpoint must be a URL such as https://s3.example.com"
    try:
        parts = urlsplit(endpoint)
        _ = parts.port  # raises when it is no number
    except ValueError:
        raise Failed(Category.CONFIG, message) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Failed(Category.CONFIG, message)
    if "@" in parts.netloc:
        raise Failed(Category.CONFIG, "destination.s3.endpoint must not hold credentials; they belong in the Secret")
    path = parts.path.rstrip("/")
    if settings.path_style:
        host, base = parts.netloc, f"{path}/{settings.bucket}"
    else:
        host, base = f"{settings.bucket}.{parts.netloc}", path
    return Address(parts.scheme, host, base)


def _aws(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
