"""An answer over HTTP that may begin before it is complete: what is told of a call under way comes first, as events.

As long as nothing is told, an answer is one JSON body with its own status, as it is for whoever asked for no progress.
"""

from __future__ import annotations

from typing import Final

import attrs
import trio

from actors.doors.calls import Send, say
from actors.doors.heading import SECURITY, Heading
from actors.doors.told import Told

EVENTS: Final = b"text/event-stream"

WRITE_S: Final = 30.0
"""How long the client may take to read one event; to one that does not read nothing more is told (T4)."""


@attrs.define(eq=False)
class Events:
    """The answer to one request."""

    heading: Heading
    send: Send
    _began: bool = attrs.field(default=False, init=False)
    _ended: bool = attrs.field(default=False, init=False)
    _turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    @property
    def wanted(self) -> bool:
        """Whether the client would read events."""
        return EVENTS in self.heading.get(b"accept").lower()

    async def tell(self, body: bytes) -> bool:
        """Send one message before the answer; return whether it went out."""
        async with self._turn:
            if self._ended:
                return False
            with trio.move_on_after(WRITE_S) as patience:
                if not self._began:
                    self._began = True
                    headers = [(b"content-type", EVENTS), *SECURITY, *self.heading.echoed()]
                    await self.send({"type": "http.response.start", "status": 200, "headers": headers})
                await self.send({"type": "http.response.body", "body": event(body), "more_body": True})
            self._ended = patience.cancelled_caught
            return not self._ended

    async def finish(self, told: Told) -> None:
        """Send the answer: the last event where there were others, else as it is."""
        async with self._turn:
            self._ended = True
            if not self._began:
                await say(told, self.send)
                return
            await self.send({"type": "http.response.body", "body": event(told.body), "more_body": False})


def event(body: bytes) -> bytes:
    """Return one message, which is one line, as an event."""
    return b"event: message\ndata: %b\n\n" % body
