"""What kind of network an IP address belongs to.

The tables are the IANA IPv4 and IPv6 special-purpose address registries. They are written out here, because
the answers of `ipaddress.is_private` and `is_global` changed between patch releases of Python. An IPv4
address that travels inside an IPv6 one (mapped, NAT64) is judged as the IPv4 address it reaches.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode

IPAddress = IPv4Address | IPv6Address


class AddressKind(StrEnum):
    PUBLIC = "public"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"
    METADATA = "cloud metadata"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    RESERVED = "reserved"


# Services that hand credentials to whoever asks from the same machine. Some stand in private or even in
# public space, so the network they belong to does not give them away.
_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, Oracle, DigitalOcean
            "169.254.170.2",  # AWS container credentials
            "169.254.170.23",  # AWS pod identity
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure wire server
            "192.0.0.192",  # Oracle, older
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS pod identity
            "fd20:ce::254",  # Google
        ),
    )
)

_IPV4_KINDS: tuple[tuple[IPv4Network, AddressKind], ...] = (
    (IPv4Network("0.0.0.0/32"), AddressKind.UNSPECIFIED),
    (IPv4Network("0.0.0.0/8"), AddressKind.RESERVED),
    (IPv4Network("10.0.0.0/8"), AddressKind.PRIVATE),
    (IPv4Network("100.64.0.0/10"), AddressKind.PRIVATE),
    (IPv4Network("127.0.0.0/8"), AddressKind.LOOPBACK),
    (IPv4Network("169.254.0.0/16"), AddressKind.LINK_LOCAL),
    (IPv4Network("172.16.0.0/12"), AddressKind.PRIVATE),
    (IPv4Network("192.0.0.0/24"), AddressKind.RESERVED),
    (IPv4Network("192.0.2.0/24"), AddressKind.RESERVED),
    (IPv4Network("192.88.99.0/24"), AddressKind.RESERVED),
    (IPv4Network("192.168.0.0/16"), AddressKind.PRIVATE),
    (IPv4Network("198.18.0.0/15"), AddressKind.RESERVED),
    (IPv4Network("198.51.100.0/24"), AddressKind.RESERVED),
    (IPv4Network("203.0.113.0/24"), AddressKind.RESERVED),
    (IPv4Network("224.0.0.0/4"), AddressKind.MULTICAST),
    (IPv4Network("240.0.0.0/4"), AddressKind.RESERVED),
    (IPv4Network("0.0.0.0/0"), AddressKind.PUBLIC),
)

# Only 2000::/3 is given out for unicast on the public net; what no row names is reserved.
_IPV6_KINDS: tuple[tuple[IPv6Network, AddressKind], ...] = (
    (IPv6Network("::/128"), AddressKind.UNSPECIFIED),
    (IPv6Network("::1/128"), AddressKind.LOOPBACK),
    (IPv6Network("fc00::/7"), AddressKind.PRIVATE),
    (IPv6Network("fe80::/10"), AddressKind.LINK_LOCAL),
    (IPv6Network("ff00::/8"), AddressKind.MULTICAST),
    (IPv6Network("2001::/23"), AddressKind.RESERVED),  # with Teredo, a tunnel to any IPv4 address
    (IPv6Network("2001:db8::/32"), AddressKind.RESERVED),
    (IPv6Network("2002::/16"), AddressKind.RESERVED),  # 6to4, another such tunnel
    (IPv6Network("3fff::/20"), AddressKind.RESERVED),
    (IPv6Network("2000::/3"), AddressKind.PUBLIC),
    (IPv6Network("::/0"), AddressKind.RESERVED),
)

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is reached
_LOW_32_BITS = 0xFFFFFFFF


def reached_address(address: IPAddress) -> IPAddress:
    """The address that packets end at: the IPv4 one inside an IPv4-mapped or NAT64 address."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & _LOW_32_BITS)
    return address


def address_kind(address: IPAddress | str) -> AddressKind:
    """Classify one address; anything that is no plain address, or carries a zone, is reserved."""
    try:
        reached = reached_address(ip_address(address))
    except ValueError:
        return AddressKind.RESERVED
    if reached in _METADATA:
        return AddressKind.METADATA
    if isinstance(reached, IPv4Address):
        return next(kind for network, kind in _IPV4_KINDS if reached in network)
    if reached.scope_id is not None:
        return AddressKind.RESERVED
    return next(kind for network, kind in _IPV6_KINDS if reached in network)


def check_address(address: IPAddress | str, *, allow_private: bool) -> None:
    """Refuse an address a connector must not reach.

    Public addresses pass; loopback and private ones only with allow_private; all other kinds never.
    """
    kind = address_kind(address)
    if kind is AddressKind.PUBLIC:
        return
    if allow_private and kind in (AddressKind.LOOPBACK, AddressKind.PRIVATE):
        return
    raise Refused(
        ReasonCode.DATA_EGRESS_BLOCKED,
        f"{address} is a {kind} address; this connector reaches "
        + ("public and private addresses only" if allow_private else "public addresses only"),
    )
