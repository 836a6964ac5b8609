"""Which addresses a webhook may reach. Pure; asked with each address right before it is connected to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from octo_api.webhooks.settings import Network

Address = IPv4Address | IPv6Address

_UNICAST = IPv6Network("2000::/3")
"""All that is given out to the public of IPv6; the rest is reserved, special or leads elsewhere."""
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses but ``denied``, and ``allowed`` others; ``denied`` wins."""

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()

    def permits(self, text: str) -> bool:
        """Whether the address may be connected to, and each one that it stands for."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return all(self._permits(each) for each in _meant(address))

    def permits_all(self, addresses: Iterable[str]) -> bool:
        """Whether all may; a name with one that may not is not to be trusted with the others."""
        found = list(addresses)
        return bool(found) and all(map(self.permits, found))

    def _permits(self, address: Address) -> bool:
        if any(address in network for network in self.denied if network.version == address.version):
            return False
        if any(address in network for network in self.allowed if network.version == address.version):
            return True
        if isinstance(address, IPv6Address) and (address not in _UNICAST or address.scope_id is not None):
            return False
        return address.is_global and not address.is_multicast


def _meant(address: Address) -> list[Address]:
    """The address, or the IPv4 address that an IPv6 one leads to."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return [address.ipv4_mapped]
        if address in _NAT64:
            return [IPv4Address(int(address) & 0xFFFFFFFF)]
        if address in _SIX_TO_FOUR and address.sixtofour is not None:
            return [address, address.sixtofour]
    return [address]
