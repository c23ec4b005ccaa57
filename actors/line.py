"""A line: whoever waits for a call, as what executes it may reach them while it is under way."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import trio

from helm.contracts.form import JSONValue
from helm.guardian.destination import Destination


class Line(Protocol):
    """The client of one call. A door that keeps no way back to its clients has none to give.

    Nothing of it raises because a client is slow or gone, except `ask` and `request`, which say what came of them.
    """

    @property
    def client(self) -> object:
        """Who it is: two calls of one client have two lines and one client."""
        ...

    @property
    def wants_progress(self) -> bool:
        """Whether the client asked to be told of progress."""
        ...

    def wanted(self) -> trio.CancelScope:
        """Return a scope that is cancelled once the client takes its call back, also where it did so before."""
        ...

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell how far the call has come; what cannot be told at once is left out, because the next one says more."""
        ...

    async def tell(self, method: str, params: JSONValue) -> None:
        """Notify the client."""
        ...

    async def ask(self, tool: str, params: JSONValue) -> JSONValue:
        """Have a call of `tool` governed as the client's own; return its output. Raises what a refusal says."""
        ...

    async def request(self, method: str, params: JSONValue) -> JSONValue:
        """Ask the client itself, and return its answer. Raises as the connector port says."""
        ...


@runtime_checkable
class Mouth(Line, Protocol):
    """A client whose own connection becomes a tunnel once there is somebody at the other end."""

    leads_to: Destination | None
    """The address at the other end, None while there is nobody."""

    def is_known(self) -> bool:
        """Tell whether the client could still come in with what it came with."""
        ...

    async def open(self, decision_id: str, leads_to: Destination) -> trio.abc.Stream:
        """Tell the client that its tunnel is open, and return its connection. Raises trio.BrokenResourceError.

        One that cannot be half closed is no HalfCloseableStream: the end of either way is the end of both.
        """
        ...

    def cut(self) -> None:
        """Have the connection break instead of ending: nobody may take what came for all there was."""
        ...


class NotGranted(Exception):
    """What a server asked of its client was refused, or failed; the words are for the server."""
