"""Where a call wants to go, in one spelling.

Egress rules compare text, and attackers choose the text: this is the only place that reads a destination, and
what it cannot read in exactly one way it refuses. Two of the usual liberties are not taken:

- Host names are ASCII. IDNA 2003 (the standard library's) and IDNA 2008 (every current client's) turn some
  names into different hosts, so an international name must arrive in its `xn--` form.
- IPv4 addresses are four decimal numbers. `0x7f.1`, `0177.0.0.1`, `2130706433` and `127.1` are read as an
  address by some resolvers and as a name by others.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import attrs

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.address import IPAddress, reached_address

MAX_TEXT_CHARS = 8192  # longer than any URL that servers accept; bounds the work on hostile text (T4)
MAX_HOST_CHARS = 253  # RFC 1035 2.3.4, without the root's dot
MAX_LABEL_CHARS = 63  # RFC 1035 2.3.4
MAX_PORT = 65535
MAX_QUOTED_CHARS = 80  # how much of a refused text a reason repeats

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_GRAMMAR = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<rest>[/?#].*)?"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
# WHATWG URL 3.5 "ends in a number": some resolver would read such a name as an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PREFIX_LENGTH = re.compile(r"[0-9]{1,3}")

# Tried in order on text that the grammar did not take, only to say what is wrong with it.
_COMPLAINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^$"), "is empty"),
    (re.compile(r"^[^/?#]*//[^/?#]*@"), "carries user information; credentials belong to the connector"),
    (re.compile(r"^(?:[^/?#]*//)?[^/?#]*%"), "has an escape or a zone id in its host; write it plainly"),
    (re.compile(r"[^\x00-\x7f]"), "has a host outside ASCII; write the name in its xn-- form"),
    (
        re.compile(r"^(?:[^/?#]*//)?[^\[\]/?#]*:[^\[\]/?#]*:"),
        "has two colons; put IPv6 addresses in brackets",
    ),
    (re.compile(r""), "is neither scheme://host[:port] nor host[:port]"),
)


def _refused(text: str, problem: str) -> Refused:
    shown = ascii(text if len(text) <= MAX_QUOTED_CHARS else text[:MAX_QUOTED_CHARS] + "...")
    return Refused(ReasonCode.DATA_EGRESS_BLOCKED, f"destination {shown} {problem}")


@attrs.frozen(kw_only=True)
class Destination:
    """One place on a network. scheme is "" and port 0 where the text named none."""

    scheme: str
    host: str
    port: int
    is_ip: bool

    def __str__(self) -> str:
        """Return the one spelling: [scheme://]host[:port], IPv6 in brackets, default ports written out."""
        scheme = f"{self.scheme}://" if self.scheme else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}{host}:{self.port}" if self.port else f"{scheme}{host}"


def normalise(text: str) -> Destination:
    """Read a URL or host[:port]; raises Refused(DATA_EGRESS_BLOCKED) on anything unclear."""
    return split_url(text)[0]


def split_url(text: str) -> tuple[Destination, str]:
    """Read like normalise, and return also what follows the destination: "" or path, query, fragment."""
    scheme, host, port, is_ip, rest = _read(text)
    return Destination(scheme=scheme, host=host, port=port, is_ip=is_ip), rest


@attrs.frozen(kw_only=True)
class Pattern:
    """A set of destinations a policy names. What a pattern leaves out, it does not restrict."""

    scheme: str
    host: str  # "" for a network; starts with a dot for a suffix
    port: int
    network: IPv4Network | IPv6Network | None

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read host, host:port, scheme://host[:port], any of them with *.suffix, or an IP or CIDR network."""
        network = _network(text)
        if network is not None:
            return cls(scheme="", host="", port=0, network=network)
        before, star, after = text.partition("*.")
        if star and not (before == "" or before.endswith("://")):
            raise _refused(text, "has a star that is not its first label")
        scheme, host, port, is_ip, rest = _read(before + after)
        if rest:
            raise _refused(text, "has a path; a pattern names only where, not what")
        if star and is_ip:
            raise _refused(text, "has a star before an address; write a CIDR network")
        return cls(scheme=scheme, host=f".{host}" if star else host, port=port, network=None)

    def matches(self, destination: Destination) -> bool:
        """For allow rules: everything the pattern states is stated by the destination, and equal."""
        return (
            (not self.scheme or self.scheme == destination.scheme)
            and (not self.port or self.port == destination.port)
            and self._covers(destination)
        )

    def touches(self, destination: Destination) -> bool:
        """For deny rules: nothing the destination states rules the pattern out."""
        return (
            (not self.scheme or destination.scheme in ("", self.scheme))
            and (not self.port or destination.port in (0, self.port))
            and self._covers(destination)
        )

    def meets(self, other: Pattern) -> Pattern | None:
        """Return the pattern that matches exactly what both match, None where that is nothing."""
        if self.scheme and other.scheme and self.scheme != other.scheme:
            return None
        if self.port and other.port and self.port != other.port:
            return None
        narrow = self if self._lies_in(other) else other if other._lies_in(self) else None
        if narrow is None:
            return None
        return Pattern(
            scheme=self.scheme or other.scheme,
            host=narrow.host,
            port=self.port or other.port,
            network=narrow.network,
        )

    def _lies_in(self, other: Pattern) -> bool:
        """Tell whether every host of this one is one of the other's: two sets of hosts overlap only so, or not."""
        if other.network is not None:
            if self.network is not None:
                return inside(self.network, other.network)
            return is_address(self.host) and ip_address(self.host) in other.network
        if self.network is not None:
            only = self.network.num_addresses == 1
            return only and other.host == str(self.network.network_address)
        if other.host.startswith("."):
            return self.host.endswith(other.host)
        return self.host == other.host

    def _covers(self, destination: Destination) -> bool:
        if self.network is not None:
            return destination.is_ip and ip_address(destination.host) in self.network
        if self.host.startswith("."):
            return destination.host.endswith(self.host)
        return destination.host == self.host


def inside(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    """Tell whether a network lies in another of its own version."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


def is_address(host: str) -> bool:
    """Tell whether the host of a pattern is an address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def check_destination(destination: Destination, *, allow: tuple[Pattern, ...], deny: tuple[Pattern, ...]) -> None:
    """Refuse what any deny pattern touches or no allow pattern matches: nothing declared, nothing reached."""
    if any(pattern.touches(destination) for pattern in deny):
        raise _refused(str(destination), "is denied by the policy")
    if not any(pattern.matches(destination) for pattern in allow):
        raise _refused(str(destination), "is not among the destinations the policy declares")


def _read(text: str) -> tuple[str, str, int, bool, str]:
    if len(text) > MAX_TEXT_CHARS:
        raise _refused(text, f"is longer than {MAX_TEXT_CHARS} characters")
    # Clients disagree on what to do with these: strip, escape, or treat as a separator.
    if not text.isprintable() or " " in text or "\\" in text:
        raise _refused(text, "has white space, an invisible character or a backslash in it")
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise _refused(text, next(problem for found, problem in _COMPLAINTS if found.search(text)))
    scheme, ipv6, name, port, rest = match.groups()
    if rest and not scheme:
        raise _refused(text, "has a path but no scheme; write scheme://host/path")
    scheme = scheme.lower() if scheme else ""
    host, is_ip = _ipv6_host(ipv6, text) if ipv6 else _named_host(name.lower(), text)
    return scheme, host, _port(port, scheme, text), is_ip, rest or ""


def _ipv6_host(literal: str, text: str) -> tuple[str, bool]:
    try:
        address: IPAddress = IPv6Address(literal)
    except ValueError:
        raise _refused(text, "has brackets around something that is no IPv6 address") from None
    return str(reached_address(address)), True


def _named_host(name: str, text: str) -> tuple[str, bool]:
    host = name.removesuffix(".")  # the root's dot: the same host to the DNS
    if len(host) > MAX_HOST_CHARS:
        raise _refused(text, f"has a host longer than {MAX_HOST_CHARS} characters")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4_host(name, text), True
    for label in labels:
        if len(label) > MAX_LABEL_CHARS or not _LABEL.fullmatch(label):
            raise _refused(text, "has a host label that is empty, too long or edged by a hyphen")
    return host, False


def _ipv4_host(name: str, text: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        raise _refused(text, "has a numeric host that is not four decimal numbers") from None


def _port(digits: str | None, scheme: str, text: str) -> int:
    if digits is not None:
        if int(digits) > MAX_PORT:
            raise _refused(text, f"has a port above {MAX_PORT}")
        return int(digits)
    if scheme and scheme not in DEFAULT_PORTS:
        raise _refused(text, "has a scheme without a known default port; name the port")
    return DEFAULT_PORTS.get(scheme, 0)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """Read an unbracketed IP address or a CIDR network; None if the text is neither."""
    address, slash, length = text.partition("/")
    try:
        first = ip_address(address)
    except ValueError:
        return None
    if slash and not _PREFIX_LENGTH.fullmatch(length):
        raise _refused(text, "has a network length that is no number of bits")
    if reached_address(first) != first or "%" in address:
        raise _refused(text, "is an IPv4 address inside an IPv6 one, or has a zone id; write it plainly")
    try:
        return ip_network(text, strict=True)
    except ValueError:
        raise _refused(text, "is no network: its length is out of range or bits are set after it") from None
