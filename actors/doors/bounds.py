"""How long, and how much, one client may take: every wait of a door has an end (T4)."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Bounds:
    """The bounds of a door's connections."""

    connections: int = 512
    """Served at once; the next one waits to be accepted."""
    handshake_s: float = 10.0
    """For TLS to be agreed on."""
    idle_s: float = 10.0
    """A connection may stand so long without a whole heading: a slow one holds a place for nothing."""
    body_s: float = 20.0
    """For a body to arrive."""
    pack_s: float = 60.0
    """For an evidence pack to arrive, which may be much longer."""
    write_s: float = 20.0
    """For a client to read what is on its way to it. Without this bound, whoever does not read could keep a kernel
    from ending."""
    linger_s: float = 1.0
    """For which a refused body is still taken, so that the refusal reaches its sender before the connection breaks."""

    streams: int = 64
    """Connections that may be streams at once: each may have many answers to hold."""
    streams_of_tenant: int = 16
    """Of these, for any one tenant, and as many for operators: nobody takes the last one from the others."""
    calls_on_stream: int = 64
    """Calls of one stream that are not answered, no more than its principal has places. Nothing is read meanwhile."""
    follows_on_stream: int = 4
    """Subscriptions to receipts on one stream."""
    fragments: int = 256
    """Fragments of one message: an empty one costs as much as a full one."""
    controls_per_s: int = 16
    """Pings and pongs of one stream, which cost us work and leave no record."""
    bad_messages: int = 64
    """Messages of one stream of which no call can be made, which cost us work and leave no record."""
    quiet_s: float = 30.0
    """A stream may be so long without a word; then it is asked for one."""
    pong_s: float = 10.0
    """For that word."""


BOUNDS = Bounds()
