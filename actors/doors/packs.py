"""Routes on which anyone has an evidence pack verified, or judged again: no key is asked for, and nothing is kept.

Bare ASGI, because a pack is too large to be held: it goes from the connection to a file that has no name, and a process
of its own reads it there. Trust comes from whoever asks, by the query, never from the pack.
"""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import IO, Final
from urllib.parse import parse_qsl

import attrs
import trio

from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.calls import BROKEN, Gone, Receive, Scope, Send, say, too_large
from actors.doors.heading import Heading, heading_of
from actors.doors.problem import Problem, overloaded
from actors.doors.told import tell_object, tell_problem
from actors.process import aside
from actors.process.aside import Answer, Bound, Unfinished
from helm.contracts.errors import Invalid
from helm.evidence.trust_root import TrustRoot

VERIFY: Final = "/api/v1/evidence/verify"
REPLAY: Final = "/api/v1/replay/verify"

ERRANDS: Final = "actors.evidence.errands"

MEDIA_TYPES: Final = ("application/x-tar", "application/octet-stream")
PINS: Final = ("log_id", "genesis_key", "execution_key", "checkpoint")

MAX_PACK_BYTES: Final = 64 * 1024 * 1024
"""Longest pack that is verified over HTTP, some 6,000 calls: whoever asks need not be known (T4)."""

UPLOADS: Final = 8
"""Packs that may be on their way at once: each takes a file as long as itself (T4)."""

VERIFICATIONS: Final = 1
"""Packs that are read at once. The others wait, as long as one may take: calls come first (T4)."""

PIECE_BYTES: Final = 512
"""The size of an average piece of a body, at least: shorter ones are an attack on the loop (T4)."""

FREE_PIECES: Final = 1024

WRITE_BYTES: Final = 1024 * 1024
"""How much of a pack is held before it is written."""

PATIENCE: Final = Bound(wall_s=60.0, memory_mib=2048)
"""What one verification may take: some thirty times the longest pack in memory (T4)."""

HINT: Final = "helm verify, on a machine of your own, has no such limit"


@attrs.define(eq=False)
class PacksDoor:
    """An ASGI application for the two routes on which a pack is believed, or is not."""

    bounds: Bounds = BOUNDS
    patience: Bound = PATIENCE
    max_bytes: int = MAX_PACK_BYTES
    uploads: int = attrs.field(default=0, init=False)
    _turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(VERIFICATIONS), init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        heading = heading_of(scope["headers"])
        try:
            told = tell_object(await self._answer(scope, heading, receive), heading)
        except Problem as problem:
            told = tell_problem(problem, heading)
        except Gone:
            return
        except Exception:
            await say(tell_problem(BROKEN, heading), send)
            raise
        await say(told, send)

    async def _answer(self, scope: Scope, heading: Heading, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise Problem(status=405, detail="a pack is brought with POST", headers=(("allow", "POST"),))
        heading.check()
        pins = pins_in(scope["query_string"])
        check_framing(heading, self.max_bytes)
        if self.uploads >= UPLOADS:
            raise overloaded("too many packs are on their way already")
        self.uploads += 1
        try:
            with TemporaryFile(buffering=0) as file:
                await self._keep(receive, file)
                return believed(await self._read(scope["path"], pins, file))
        finally:
            self.uploads -= 1

    async def _read(self, path: str, pins: dict[str, str], file: IO[bytes]) -> Answer:
        """Return what the pack comes to. Raises Problem."""
        errand = {"errand": "verify" if path == VERIFY else "replay", "pins": pins}
        with trio.move_on_after(self.patience.wall_s) as waiting:
            await self._turn.acquire()
        if waiting.cancelled_caught:
            raise overloaded("too many packs are being verified already")
        try:
            return await aside.run(ERRANDS, errand, file, self.patience)
        except Unfinished as end:
            detail = f"the pack takes more time or memory than a verification here may: {HINT}"
            raise Problem(status=422, detail=detail) from end
        finally:
            self._turn.release()

    async def _keep(self, receive: Receive, file: IO[bytes]) -> None:
        """Write the body to a file. Raises Problem for one too long, in too many pieces, or too slow; Gone."""
        with trio.move_on_after(self.bounds.pack_s):
            await keep(receive, file, self.max_bytes)
            return
        detail = f"the body took longer than {self.bounds.pack_s:g} s"
        raise Problem(status=408, detail=detail, headers=(("connection", "close"),))


async def keep(receive: Receive, file: IO[bytes], limit: int) -> None:
    """Write a body to a file as it comes, a megabyte at a time."""
    held: list[bytes] = []
    size = waiting = pieces = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        piece, more = message["body"], message["more_body"]
        held.append(piece)
        size, waiting, pieces = size + len(piece), waiting + len(piece), pieces + 1
        if size > limit:
            raise too_large(limit)
        if pieces > FREE_PIECES + size // PIECE_BYTES:
            raise Problem(status=413, detail=f"the body came in {pieces} pieces")
        if waiting >= WRITE_BYTES or not more:
            await trio.to_thread.run_sync(file.write, b"".join(held))
            held, waiting = [], 0


def pins_in(query: bytes) -> dict[str, str]:
    """Return what the caller trusts. Raises Problem where that is nothing, or is none of it."""
    try:
        given = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), max_num_fields=8)
    except ValueError as problem:
        raise Problem(status=400, detail="the query is not one of names and values", place="?") from problem
    pins = dict(given)
    for name, _ in given:
        if name not in PINS:
            raise Problem(status=400, detail=f"unknown parameter; there are {', '.join(PINS)}", place=f"?{name[:64]}")
    if len(pins) != len(given):
        raise Problem(status=400, detail="a parameter stands twice", place="?")
    try:
        TrustRoot(**pins)
    except Invalid as problem:
        raise Problem(status=400, detail=f"{problem.what}; {problem.hint}", place="?log_id") from problem
    return pins


def check_framing(heading: Heading, limit: int) -> None:
    """Raise Problem for a body that will not be read: of another type, compressed, or too long."""
    if heading.get(b"content-encoding") not in (b"", b"identity"):
        raise Problem(status=415, detail="a compressed pack is not read", place="content-encoding")
    if heading.text(b"content-type").lower().strip() not in MEDIA_TYPES:
        raise Problem(status=415, detail=f"the body must be {' or '.join(MEDIA_TYPES)}", place="content-type")
    declared = heading.get(b"content-length")
    if declared and (len(declared) > 15 or int(declared) > limit):
        raise too_large(limit)


def believed(answer: Answer) -> Answer:
    """Return the report of a pack in which everything holds. Raises Problem 422 with the report of any other."""
    report: Answer = answer["done"]
    if report["authenticated"] and report.get("verified", True):
        return report
    detail = "the pack is not what it says: believe nothing in it"
    if report["authenticated"]:
        detail = "the pack is authentic, and a call of it is not what its policy says"
    raise Problem(status=422, detail=detail, said=report)
