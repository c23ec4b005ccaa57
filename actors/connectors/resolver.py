"""From a host to the one address that is connected to.

A name is resolved once, every address of the answer is checked, and the connection goes to an address of that
answer. Whoever controls the name has nothing left to change in between (DNS rebinding).
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

import trio

from actors.connectors.port import Unreachable
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.address import check_address

MAX_LOOKUPS = 20
"""Look-ups of one connector at a time: a dead name server holds this many threads and no more (T4)."""

checked = lru_cache(maxsize=1024)(check_address)
"""Which addresses pass: a table that never changes is not gone through again for each call. A refusal is not kept."""

MAX_ADDRESSES = 16
"""How many addresses of one answer are looked at: more is no service but an amplifier (T4)."""

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""Takes a host, a name or an address, and returns its addresses in order of preference; raises OSError."""


def system_resolver() -> Resolver:
    """Return a resolver that asks the operating system, with threads of its own."""
    limiter = trio.CapacityLimiter(MAX_LOOKUPS)

    async def resolve(host: str) -> Sequence[str]:
        try:
            found = _look_up(host.encode(), socket.AI_NUMERICHOST)  # an address, however it is written, asks nobody
        except OSError:
            found = await trio.to_thread.run_sync(_look_up, host, abandon_on_cancel=True, limiter=limiter)
        return [str(entry[4][0]) for entry in found]

    return resolve


async def addresses_of(host: str, resolver: Resolver, *, allow_private: bool) -> Sequence[str]:
    """Return the addresses to connect to; raises Unreachable if there is none or any one is refused."""
    try:
        addresses = list(dict.fromkeys(await resolver(host)))[:MAX_ADDRESSES]
    except OSError as problem:
        reason = f"{host} does not resolve: {type(problem).__name__}"
        raise Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, reason) from problem
    if not addresses:
        raise Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, f"{host} has no address")
    for address in addresses:
        _check(host, address, allow_private=allow_private)
    return addresses


def _check(host: str, address: str, *, allow_private: bool) -> None:
    try:
        checked(address, allow_private=allow_private)
    except Refused as refused:
        raise Unreachable(refused.code, f"{host}: {refused.reason}") from refused


def _look_up(host: str | bytes, flags: int = 0) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)  # type: ignore[return-value]
