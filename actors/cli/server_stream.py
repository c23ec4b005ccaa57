"""Receipts followed over a kernel's stream: they come without a request each, and no end of it goes unsaid."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import trio

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.receipt_source import Object
from actors.cli.server import Server, tls_context
from actors.stream_client import Followed, StreamEnded, StreamRefused, open_stream

NOT_OFFERED: Final = frozenset({400, 404, 405, 426, 501, 502})
"""What a gateway, or a proxy before it, answers that has no such stream."""

TRIES: Final = 5
"""How often a stream is taken up again without a receipt in between: a kernel that restarts needs a second or two."""

PAUSE_S: Final = 1.0


def follow_stream(server: Server, wanted: dict[str, str], tell: Callable[[Object], None]) -> bool:
    """Tell of receipts for ever; return False where the kernel offers no stream. Raises Failed."""
    return trio.run(Following(server, wanted, tell).run)


class Following:
    """One reader's place in the journal, over one stream after another."""

    def __init__(self, server: Server, wanted: dict[str, str], tell: Callable[[Object], None]) -> None:
        self._server = server
        self._wanted = wanted
        self._tell = tell
        self._after: int | None = None
        self._left = TRIES

    async def run(self) -> bool:
        """Follow, and take it up again where a stream ends. Raises Failed."""
        while True:
            try:
                await self._follow()
            except StreamRefused as refusal:
                if self._after is None and refusal.status in NOT_OFFERED:
                    return False
                self._left -= 1
                if refusal.status != 503 or not self._left:
                    raise failed(refusal, self._server) from refusal
            except StreamEnded as end:
                show.note(f"{end}; taking it up again")
                self._left -= 1
                if not self._left:
                    raise Failed(str(end), "is `helm serve` well there?", "NO_ANSWER") from end
            await trio.sleep(PAUSE_S)

    async def _follow(self) -> None:
        """Tell of receipts until the stream ends, one subscription after the other."""
        async with open_stream(self._server.url, self._server.key, tls_context()) as client:
            while True:
                async with aclosing(client.follow(self._after, **self._wanted)) as followed:
                    async for one in followed:
                        self._note(one)

    def _note(self, one: Followed) -> None:
        self._after = one.seq
        if one.receipt is not None:
            self._left = TRIES
            self._tell(dict(one.receipt))


def failed(refusal: StreamRefused, server: Server) -> Failed:
    """Return a refusal in the words of the command line."""
    if not refusal.status:
        return Failed(f"no answer from {server.url}: {refusal.why}", "is `helm serve` running there?", "NO_ANSWER")
    hint = server.hint if refusal.status in (401, 403) else ""
    return Failed(refusal.why, hint, f"HTTP_{refusal.status}")
