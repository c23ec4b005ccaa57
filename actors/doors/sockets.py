"""Where a door listens: bound once, kept while kernels come and go, and never more widely than the settings allow."""

from __future__ import annotations

import os
import socket

import attrs
import trio

from helm.config import Config
from helm.contracts.errors import Invalid

BACKLOG = 512
"""Connections that may wait to be accepted: more than one kernel's restart lets pile up."""


@attrs.frozen
class Address:
    """Where a door can be reached."""

    host: str
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        """The base of every route's URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@attrs.frozen
class Bound:
    """A listening socket. Whoever serves on it takes a copy, so that ending a door does not close it."""

    _socket: socket.socket
    address: Address

    def listener(self) -> trio.SocketListener:
        """Return a listener on a copy of the socket."""
        return trio.SocketListener(trio.socket.from_stdlib_socket(self._socket.dup()))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def bind(config: Config, *, admin_key_issued: bool) -> Bound:
    """Listen where the settings say; port 0 takes a free one. Raises Invalid, also for an exposure that is unsafe."""
    config.check_exposure(admin_key_issued=admin_key_issued)
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    try:
        bound = socket.create_server((config.bind, config.port), family=family, backlog=BACKLOG)
    except OSError as error:
        where = f"{config.bind} port {config.port}"
        hint = "stop what listens there, or choose another port: --port, or port in helm.toml"
        raise Invalid(f"cannot listen: {reason_of(error)}", where, hint) from error
    bound.setblocking(False)
    host, port = bound.getsockname()[:2]
    return Bound(bound, Address(host, port, bool(config.tls_cert)))


def reason_of(error: OSError) -> str:
    """Return the system's own words; the library's name the address again."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


@attrs.frozen
class Gate(trio.abc.Listener[trio.SocketStream]):
    """A listener that accepts a connection only while there is a place for it."""

    listener: trio.SocketListener
    places: trio.Semaphore

    async def accept(self) -> trio.SocketStream:
        """Return the next connection, which holds a place until `places.release`."""
        await self.places.acquire()
        try:
            return await self.listener.accept()
        except BaseException:
            self.places.release()
            raise

    async def aclose(self) -> None:
        """Stop listening."""
        await self.listener.aclose()
