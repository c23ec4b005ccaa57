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
    write_s: float = 20.0
    """For a client to read what is on its way to it. Without this bound, whoever does not read could keep a kernel
    from ending."""
    linger_s: float = 1.0
    """For which a refused body is still taken, so that the refusal reaches its sender before the connection breaks."""


BOUNDS = Bounds()
