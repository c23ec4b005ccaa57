"""Who answers while there is no kernel: the process lives, every other request gets a 503, and nothing is judged."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import attrs
import trio

from actors.doors.heading import SECURITY
from actors.doors.problem import PROBLEM_JSON, Header, stopped
from actors.doors.sockets import Bound, Gate
from helm.crypto.canonical import record_bytes

HEADING_END = b"\r\n\r\n"
MAX_HEADING_BYTES = 16 * 1024
PATIENCE_S = 2.0
"""How long one client may take, to ask and to take its answer."""

MAX_CLIENTS = 64
"""Clients that are told at once; the others wait, maybe until there is a kernel again (T4)."""


ALIVE = b"GET /healthz "
"""How a request begins that asks for the process alone: it may read a long journal, and must not be killed for it."""


def answer(asked: bytes) -> bytes:
    """Return the whole answer to a heading: that the process lives, or that nothing was dispatched, try again."""
    if asked.startswith(ALIVE):
        return whole(b"200 OK", b"application/json", record_bytes({"status": "alive"}))
    problem = stopped(unknown=False)
    return whole(b"503 Service Unavailable", PROBLEM_JSON.encode(), problem.body(), problem.headers)


def whole(status: bytes, media_type: bytes, body: bytes, more: Sequence[Header] = ()) -> bytes:
    """Return an answer behind which the connection ends."""
    headers = [
        (b"content-type", media_type),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *SECURITY,
        *((name.encode(), value.encode()) for name, value in more),
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, lines, body)


@attrs.define(eq=False)
class StandIn:
    """Answers on the doors' own sockets until it is told to make way."""

    bound: Bound
    tls: ssl.SSLContext | None
    others: tuple[Bound, ...] = ()
    """Where else a door listens while there is a kernel."""
    _place: trio.CancelScope | None = attrs.field(default=None, init=False)
    _gone: trio.Event = attrs.field(factory=trio.Event, init=False)
    _places: trio.Semaphore = attrs.field(factory=lambda: trio.Semaphore(MAX_CLIENTS), init=False)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer whoever comes, until told to make way."""
        gates = [Gate(one.listener(), self._places) for one in (self.bound, *self.others)]
        self._gone = trio.Event()
        async with trio.open_nursery() as clients:
            with trio.CancelScope() as self._place:
                task_status.started()
                await trio.serve_listeners(self._serve, gates, handler_nursery=clients)
            self._place = None
            self._gone.set()

    @property
    def is_there(self) -> bool:
        """Whether it answers."""
        return self._place is not None

    async def make_way(self) -> None:
        """Accept nobody any more, and return when that is so; who came before is still told."""
        if self._place is not None:
            self._place.cancel()
            await self._gone.wait()

    async def _serve(self, transport: trio.SocketStream) -> None:
        try:
            with trio.move_on_after(PATIENCE_S):
                await self._tell(transport)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it left before it was told
        finally:
            self._places.release()

    async def _tell(self, transport: trio.SocketStream) -> None:
        stream: trio.abc.Stream = transport
        if self.tls is not None:
            stream = trio.SSLStream(transport, self.tls, server_side=True, https_compatible=True)
        asked = b""
        while HEADING_END not in asked and len(asked) < MAX_HEADING_BYTES:
            piece = await stream.receive_some(4096)
            if not piece:
                return
            asked += piece
        await stream.send_all(answer(asked))
        await transport.send_eof()
        while await transport.receive_some(4096):
            pass
