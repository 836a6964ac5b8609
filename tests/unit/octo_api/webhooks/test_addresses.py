"""Which addresses a webhook may reach."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from octo_api.webhooks.addresses import AddressPolicy

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946")
INSIDE = (
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.96.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "2606:2800:220:1::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:7f00:1::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    assert AddressPolicy().permits(address)


@pytest.mark.parametrize("address", [*INSIDE, "", "localhost", "127.1", "2130706433", "0x7f000001", "1.2.3.4.5"])
def test_all_others_are_not(address: str) -> None:
    assert not AddressPolicy().permits(address)


def test_exceptions_both_ways() -> None:
    policy = AddressPolicy(
        allowed=(ip_network("10.1.0.0/16"),), denied=(ip_network("8.8.0.0/16"), ip_network("10.1.1.0/24"))
    )
    assert policy.permits("10.1.2.3")
    assert policy.permits("::ffff:10.1.2.3")
    assert not policy.permits("10.2.2.3")
    assert not policy.permits("8.8.8.8")
    # What is denied stays so, also within what is allowed.
    assert not policy.permits("10.1.1.3")


def test_one_bad_address_spoils_the_name() -> None:
    policy = AddressPolicy()
    assert policy.permits_all(["8.8.8.8"])
    assert not policy.permits_all(["8.8.8.8", "127.0.0.1"])
    assert not policy.permits_all([])
