"""One stream: calls as fast as their answers are read, and each answer as soon as it is sealed.

No task per call: a call that names no idempotency key goes from the message to the belt in one step, and its answer
from the belt into the next write. A client that leaves is not missed: its calls go on in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol

import attrs
import trio

from actors.doors.credentials import check_calls, tenant_of
from actors.doors.entry import UNANSWERED, Entry, untold
from actors.doors.frames import FORBIDDEN, NORMAL, RESTART, Ended, Frames, text_frame
from actors.doors.message import Follow, Message, call_in, check_unfollow, follow_in, open_message
from actors.doors.problem import RETRY_AFTER_S, Problem
from actors.doors.tail import POLL_S, Reader, Seen, Tails
from actors.doors.told import RETRIED, members_of
from actors.identity.credentials import Credentials
from actors.identity.holder import Unbelieved
from actors.keys.bearer import BearerKey
from actors.mailbox import Answer, Case, Delivery, KernelStopped
from actors.origin import Origin
from helm.contracts.call import ToolCall
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes

WRITE_BYTES = 256 * 1024
"""Of answers that leave together: one system call for many, and a bound on what is held twice (T4)."""

UNTOLD = 128
"""Answers and receipts that wait to be written: beyond it neither the client nor the journal is read on (T4)."""

LOST = Ended(1006, "the connection broke")
"""Never sent (RFC 6455 section 7.4.1)."""

HALF_CLOSED = Ended(NORMAL, "answered; the client said no more")
RETIRED = Ended(RESTART, "the kernel ends; what was not answered must be reconciled before any retry")

Frame = Callable[[], bytes]
"""How a frame is made, when its turn comes."""


class Line(Protocol):
    """The connection below a stream."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing written arrives any more."""

    async def receive(self) -> bytes:
        """Return what came, b"" for the end. Raises what a connection breaks with."""

    async def write(self, data: bytes) -> None:
        """Write within the bounds; a client that does not read makes the connection a lost one."""


@attrs.frozen(eq=False, kw_only=True)
class Lane:
    """What every stream of a door stands on."""

    entry: Entry
    tails: Tails


@attrs.define(eq=False)
class Stream:
    """One client's stream."""

    lane: Lane
    key: BearerKey
    frames: Frames
    line: Line
    who: Credentials
    _places: int = attrs.field(init=False)
    _in_flight: int = attrs.field(default=0, init=False)
    _bad: int = attrs.field(default=0, init=False)
    _untold: list[Frame] = attrs.field(factory=list, init=False)
    """What is not written yet."""
    _news: trio.Event = attrs.field(factory=trio.Event, init=False)
    _room: trio.Event = attrs.field(factory=trio.Event, init=False)
    _reading: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _follows: dict[str, trio.CancelScope] = attrs.field(factory=dict, init=False)
    _end: Ended = attrs.field(default=LOST, init=False)
    _barred: Ended | None = attrs.field(default=None, init=False)
    """Why the client is known no more, None while it is."""
    _watching: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _is_over: bool = attrs.field(default=False, init=False)
    """Whether only what is untold, and the last word, is left to be written."""
    _beside: trio.Nursery = attrs.field(init=False)
    """What ends with the connection: the writer, and the subscriptions."""
    _calls: trio.Nursery = attrs.field(init=False)
    """Calls that wait for an earlier one of their key. They outlive the connection: nothing undoes them."""

    def __attrs_post_init__(self) -> None:
        limits = self.lane.entry.kernel.parts.limits
        self._places = min(self.frames.bounds.calls_on_stream, limits.places_per_principal, limits.places)

    def retire(self) -> None:
        """Take nothing more; what is in flight is still answered."""
        self._reading.cancel()

    async def run(self, first: bytes) -> None:
        """Serve until either side ends it. `first` is what came together with the upgrade."""
        async with trio.open_nursery() as self._calls, trio.open_nursery() as self._beside:
            self._beside.start_soon(self._write)
            self._beside.start_soon(self._watch)
            self._end = await self._read(first)
            if self._end is RETIRED or self._end is HALF_CLOSED:
                await self._until_told()
            self._watching.cancel()
            for scope in self._follows.values():
                scope.cancel()
            self._is_over = True
            self._news.set()

    async def _until_told(self) -> None:
        """Wait until everything in flight is answered, and every answer written."""
        while (self._in_flight or self._untold) and not self.line.is_lost:
            await self._room.wait()

    async def _watch(self) -> None:
        """End the stream as soon as what the client came with counts no more, also while it says nothing."""
        with self._watching:
            while self._barred is None:  # a clock and a log ring no bell
                await trio.sleep(POLL_S)
                try:
                    self._check_still()
                except Ended as end:
                    self._barred = end
            self._reading.cancel()

    # -- reading --------------------------------------------------------------------------------------------------

    async def _read(self, first: bytes) -> Ended:
        """Take message after message; return why there will be no more."""
        with self._reading:
            try:
                data = first or await self._receive()
                while data:
                    for raw in self.frames.texts(data):
                        while self._is_full:
                            await self._room.wait()
                        self._take(raw)
                    self._answer_pings()
                    data = await self._receive()
            except Ended as end:
                return end
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                return LOST
            return HALF_CLOSED
        return LOST if self.line.is_lost else self._barred or RETIRED

    @property
    def _is_full(self) -> bool:
        return self._in_flight >= self._places or len(self._untold) >= UNTOLD

    async def _receive(self) -> bytes:
        """Return what comes next. Raises Ended for a message that does not end, and for a client that says nothing."""
        bounds, torn_since = self.frames.bounds, self.frames.torn_since
        if torn_since is not None:
            with trio.move_on_at(torn_since + bounds.body_s):
                return await self.line.receive()
            raise Ended(FORBIDDEN, f"a message took longer than {bounds.body_s:g} s")
        with trio.move_on_after(bounds.quiet_s):
            return await self.line.receive()
        self._say(self.frames.ping)
        with trio.move_on_after(bounds.pong_s):
            return await self.line.receive()
        raise Ended(FORBIDDEN, f"no word within {bounds.quiet_s + bounds.pong_s:g} s, not even a pong")

    def _answer_pings(self) -> None:
        if self.frames.due:
            due, self.frames.due = bytes(self.frames.due), bytearray()
            self._say(lambda: due)

    def _take(self, raw: bytes) -> None:
        """Act on one message. Raises Ended where the client sends nothing but what cannot be acted on."""
        self._check_still()
        message = open_message(raw, self.frames.max_bytes)
        try:
            if "follow" in message.body:
                self._follow(message)
            elif "unfollow" in message.body:
                self._unfollow(message)
            else:
                check_calls(self.key)
                self._submit(message, self.lane.entry.admit(self.key, call_in(message), raw))
        except Problem as problem:
            self._bad += 1
            if self._bad > self.frames.bounds.bad_messages:
                reason = f"more than {self.frames.bounds.bad_messages} messages of which no call can be made"
                raise Ended(FORBIDDEN, reason) from problem
            self._say(partial(answer_frame, message.request_id, problem))

    def _check_still(self) -> None:
        """Raise Ended where what the client came with counts no more."""
        try:
            self.who.check_still(self.key)
        except Unbelieved as problem:
            raise Ended(FORBIDDEN, str(problem)) from problem

    # -- calls ----------------------------------------------------------------------------------------------------

    def _submit(self, message: Message, call: ToolCall) -> None:
        """Put a call on the belt. No await lies between the message and its place there."""
        self._in_flight += 1
        answer = partial(self._answer, message.request_id)
        if call.idempotency_key:
            self._calls.start_soon(self._claim, call, answer, Origin(message.request_id or ""))
            return
        try:
            origin = Origin(message.request_id or "")
            self.lane.entry.kernel.submit(Case(call, slot=Delivery(answer), origin=origin))
        except UNANSWERED as failure:
            answer(untold(failure))

    async def _claim(self, call: ToolCall, answer: Callable[[Answer | Problem], None], origin: Origin) -> None:
        """Wait for the one answer of an idempotency key."""
        try:
            answer(await self.lane.entry.kernel.govern(call, origin=origin))
        except UNANSWERED as failure:
            answer(untold(failure))

    def _answer(self, request_id: str | None, answer: Answer | KernelStopped | Problem) -> None:
        """Have the next write tell the answer of a call, whose place is free from here on."""
        self._in_flight -= 1
        self._say(partial(answer_frame, request_id, answer))

    # -- following receipts ---------------------------------------------------------------------------------------

    def _follow(self, message: Message) -> None:
        """Begin to tell of receipts. Raises Problem."""
        request_id = named(message)
        asked = follow_in(message.body, tenant_of(self.key))
        if request_id in self._follows:
            raise Problem(status=409, detail="this id follows receipts already", place="/id")
        if len(self._follows) >= self.frames.bounds.follows_on_stream:
            raise Problem(status=429, detail="too many subscriptions on one stream", place="/follow")
        self._follows[request_id] = trio.CancelScope()
        self._beside.start_soon(self._tell, request_id, asked)

    def _unfollow(self, message: Message) -> None:
        """Tell of no more receipts. Raises Problem."""
        check_unfollow(message.body)
        scope = self._follows.get(named(message))
        if scope is None:
            raise Problem(status=404, detail="this id follows no receipts", place="/id")
        scope.cancel()

    async def _tell(self, request_id: str, asked: Follow) -> None:
        """Tell of receipts until the client has enough, or the time of a subscription is over."""
        head = self.lane.entry.kernel.parts.journal.head
        seq = head if asked.after is None else asked.after
        reader = Reader(self.key.tenant, partial(self.who.counts, self.key))
        try:
            with self._follows[request_id]:
                async with aclosing(self.lane.tails.watch(asked.wanted, seq, reader)) as seen:
                    async for one in seen:
                        seq = one.seq
                        while len(self._untold) >= UNTOLD:
                            await self._room.wait()
                        self._say(partial(seen_frame, request_id, one))
            self._check_still()
            last: dict[str, JSONValue] = {"event": "ended", "seq": seq}
        except Problem as problem:
            last = {"event": "refused", **problem.members()}
        except Ended as end:
            last = {"event": "refused", **Problem(status=401, detail=end.reason).members()}
        finally:
            del self._follows[request_id]
        self._say(partial(event_frame, request_id, last))

    # -- writing --------------------------------------------------------------------------------------------------

    def _say(self, frame: Frame) -> None:
        self._untold.append(frame)
        self._news.set()

    async def _write(self) -> None:
        """Write whatever is to be told, many frames at a time, and the last word; or until nobody is there to read."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            while self._untold and self.frames.is_open and not self.line.is_lost:
                await self._write_some()
            if self.line.is_lost:
                self._reading.cancel()
                self._room.set()
                return
            if self._is_over:
                await self.line.write(self.frames.close(self._end))
                return

    async def _write_some(self) -> None:
        """Write as many frames as may leave together, and make room for as many."""
        written, count = bytearray(), 0
        for frame in self._untold:
            written += frame()
            count += 1
            if len(written) >= WRITE_BYTES:
                break
        await self.line.write(bytes(written))
        del self._untold[:count]
        self._room.set()
        self._room = trio.Event()


def named(message: Message) -> str:
    """Return the id of a message. Raises Problem where it has none."""
    if message.request_id is None:
        raise Problem(status=400, detail=str(message.malformed), place="/id")
    return message.request_id


def answer_frame(request_id: str | None, answer: Answer | KernelStopped | Problem) -> bytes:
    """Return the answer of one call: the members that HTTP would send, and the id."""
    if isinstance(answer, Answer):
        status, members = members_of(answer)
    else:
        problem = untold(answer) if isinstance(answer, KernelStopped) else answer
        status, members = problem.status, problem.members()
    if status in RETRIED:
        known = answer.retry_after_s if isinstance(answer, Answer) else 0
        members["retry_after_s"] = known or RETRY_AFTER_S
    return event_frame(request_id, members)


def seen_frame(request_id: str, seen: Seen) -> bytes:
    """Return one receipt that was followed, or how far the journal was looked at."""
    if seen.receipt is None:
        return event_frame(request_id, {"event": "position", "seq": seen.seq})
    return event_frame(request_id, {"event": "receipt", "receipt": seen.receipt, "seq": seen.seq})


def event_frame(request_id: str | None, members: dict[str, JSONValue]) -> bytes:
    members["id"] = request_id
    return text_frame(record_bytes(members))
