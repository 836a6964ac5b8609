"""Which address a request comes from, when proxies stand in between."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


class ClientAddresses:
    """Believes ``X-Forwarded-For`` only as far as trusted proxies wrote it."""

    def __init__(self, trusted_proxies: Sequence[Network]) -> None:
        self._trusted = tuple(trusted_proxies)

    def of(self, peer: str | None, forwarded_for: Sequence[str]) -> str | None:
        """The client's address: the last one, from the right, that is not a trusted proxy's.

        ``forwarded_for`` holds the header's values in order. What is no address ends the search: a client
        can write anything there.
        """
        client = peer
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        while client is not None and hops and self._trusts(client):
            hop = hops.pop()
            try:
                client = str(ip_address(hop))
            except ValueError:
                break
        return client

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed.version == network.version and parsed in network for network in self._trusted)


def limit_key(client: str | None) -> str:
    """What stands for a client when it is limited: its address, of IPv6 the /64, in which one host has any address."""
    if client is None:
        return "unknown"
    try:
        parsed = ip_address(client)
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))
