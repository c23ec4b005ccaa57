"""An address is judged by where its packets end."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.address import AddressKind, address_kind, check_address

KINDS = {
    "8.8.8.8": "public",
    "2606:4700::1111": "public",
    "64:ff9b::8.8.8.8": "public",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "10.1.2.3": "private",
    "172.31.255.255": "private",
    "172.32.0.1": "public",
    "192.168.0.1": "private",
    "100.64.0.1": "private",
    "fd12:3456::1": "private",
    "::ffff:10.0.0.1": "private",
    "64:ff9b::10.0.0.1": "private",
    "169.254.1.1": "link-local",
    "fe80::1": "link-local",
    "169.254.169.254": "cloud metadata",
    "::ffff:169.254.169.254": "cloud metadata",
    "64:ff9b::a9fe:a9fe": "cloud metadata",
    "168.63.129.16": "cloud metadata",
    "fd00:ec2::254": "cloud metadata",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "0.0.0.0": "unspecified",
    "::": "unspecified",
    "::ffff:0.0.0.0": "unspecified",
    "0.1.2.3": "reserved",
    "255.255.255.255": "reserved",
    "240.0.0.1": "reserved",
    "192.0.2.1": "reserved",
    "198.18.0.1": "reserved",
    "2002:7f00:1::": "reserved",
    "2001:0:7f00:1::": "reserved",
    "2001:db8::1": "reserved",
    "::127.0.0.1": "reserved",
    "64:ff9b:1::1": "reserved",
    "fec0::1": "reserved",
    "100::1": "reserved",
    "fe80::1%eth0": "reserved",
    "2606:4700::1%eth0": "reserved",
    "127.1": "reserved",
    "localhost": "reserved",
    "": "reserved",
}


@pytest.mark.parametrize(("address", "kind"), KINDS.items())
def test_every_kind_of_address_is_known(address: str, kind: str) -> None:
    assert address_kind(address) == kind


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "::", "169.254.0.1", "ff02::1"]
)
def test_metadata_and_unspecified_are_refused_even_inside(address: str) -> None:
    with pytest.raises(Refused) as refused:
        check_address(address, allow_private=True)
    assert refused.value.code is ReasonCode.DATA_EGRESS_BLOCKED


def test_private_addresses_need_a_word() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "fd12::1"):
        check_address(address, allow_private=True)
        with pytest.raises(Refused):
            check_address(address, allow_private=False)
    check_address(ip_address("8.8.8.8"), allow_private=False)


def test_no_address_is_more_public_than_the_standard_library_says() -> None:
    for high in range(256):
        for low in (0, 18, 51, 64, 88, 168, 254):
            address = ip_address(f"{high}.{low}.100.7")
            if address_kind(address) is AddressKind.PUBLIC:
                assert address.is_global
