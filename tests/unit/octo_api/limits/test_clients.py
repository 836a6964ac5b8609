"""Whose address counts behind proxies."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from octo_api.limits.clients import ClientAddresses, limit_key

TRUSTING = ClientAddresses([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        # Not a proxy of ours: whatever it says of itself is ignored.
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        # The client forged the left part; the proxy appended what it saw.
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["not an address"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7\r\nx: y"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (None, ["198.51.100.7"], None),
        ("testclient", ["198.51.100.7"], "testclient"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str | None, forwarded: list[str], client: str | None) -> None:
    assert TRUSTING.of(peer, forwarded) == client
    assert ClientAddresses([]).of(peer, forwarded) == peer


def test_hosts_are_limited_and_not_their_addresses() -> None:
    assert limit_key("2001:db8:0:1::1") == limit_key("2001:db8:0:1:ffff::2") != limit_key("2001:db8:0:2::1")
    assert limit_key("::ffff:192.0.2.1") == limit_key("192.0.2.1")
    assert limit_key("192.0.2.1") != limit_key("192.0.2.2")
    assert limit_key(None) == limit_key("testclient") == "unknown"
