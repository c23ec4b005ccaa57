"""The way back to the one client of a connection: what it is told and asked while a call of its is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import attrs
import trio

from actors.connectors.port import ConnectorFailed, ConnectorUnknown, NotDispatched
from actors.doors.mcp.result import refusal
from actors.doors.mcp.wire import Message, Reply
from actors.line import NotGranted
from actors.mailbox import Answer
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import record_bytes

MAX_ASKED: Final = 32
"""Questions to one client that wait for an answer at once (T4)."""

TAKE_BACK_S: Final = 1.0
"""How long a question that is given up waits to be taken back from a client that does not read."""

MAX_WORDS: Final = 1000
"""Characters of a progress message: it is a server's own text (T2, T4)."""

MAX_TOLD: Final = 64
"""Notifications of one call that wait for a client which reads slowly; more are left out (T4)."""

NEEDS: Final[Mapping[str, str]] = {
    "elicitation/create": "elicitation",
    "roots/list": "roots",
    "sampling/createMessage": "sampling",
}
"""What a client must have said that it can do, to be asked."""

Say = Callable[[bytes], Awaitable[bool]]
"""Sends one message to the client; returns whether it was taken."""

Govern = Callable[[str, JSONValue, "CallLine"], Awaitable[Answer]]
"""Has a call governed as this client's. Raises NotGranted where none became of it."""


@attrs.define(eq=False)
class Client:
    """One client. It can be asked for what it said at `initialize` that it can do; newer revisions have no such way."""

    say: Say
    can: frozenset[str] | None = frozenset()
    """None: it cannot be asked at all, because nothing that it says could be an answer."""
    lines: dict[str | int, CallLine] = attrs.field(factory=dict, init=False)
    """By the ids of the requests under way."""
    _asked: dict[str, Question] = attrs.field(factory=dict, init=False)
    _count: int = attrs.field(default=0, init=False)

    def hear(self, message: Message) -> None:
        """Take what a message says of the client itself, and of a call that it takes back."""
        if message.method == "initialize":
            said = message.params.get("capabilities")
            self.can = frozenset(said) if type(said) is dict else frozenset()
        if message.method == "notifications/cancelled":
            name = message.params.get("requestId")
            line = self.lines.get(name) if type(name) is str or type(name) is int else None
            if line is not None:
                line.take_back()

    def answered(self, reply: Reply) -> None:
        """Hand an answer to whoever asked; one that nobody waits for is none."""
        question = self._asked.pop(reply.id, None)
        if question is not None:
            question.reply = reply
            question.there.set()

    def leave(self) -> None:
        """Let nobody wait for a client that will not answer any more."""
        self.can = frozenset()
        for question in self._asked.values():
            question.there.set()

    async def ask(self, method: str, params: JSONValue) -> JSONValue:
        """Ask the client, and return its answer. Raises as the connector port says."""
        if self.can is None:
            reason = "the call came through a door at which no client can be asked"
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, reason)
        if NEEDS[method] not in self.can:
            reason = f"the client did not say that it can do {NEEDS[method]}"
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, reason)
        if len(self._asked) >= MAX_ASKED:
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, f"{MAX_ASKED} questions wait for this client")
        self._count += 1
        name = f"helm-{self._count}"
        question = self._asked[name] = Question()
        try:
            if not await self.say(record_bytes({"id": name, "jsonrpc": "2.0", "method": method, "params": params})):
                raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, "the client is gone")
            await question.there.wait()
        except trio.Cancelled:
            with trio.move_on_after(TAKE_BACK_S, shield=True):
                await self.say(taken_back(name))
            raise
        finally:
            self._asked.pop(name, None)
        if question.reply is None:
            raise ConnectorUnknown("the client left before it answered")
        if question.reply.error:
            raise ConnectorFailed(f"the client answered: {question.reply.error}")
        return question.reply.result


def taken_back(name: str) -> bytes:
    """Return what a client is told whose answer nobody waits for any more."""
    params: dict[str, JSONValue] = {"reason": "nobody waits for the answer any more", "requestId": name}
    return record_bytes({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})


@attrs.define(eq=False)
class Question:
    """One question under way."""

    there: trio.Event = attrs.field(factory=trio.Event)
    reply: Reply | None = None


@attrs.define(eq=False)
class CallLine:
    """The line of one call (see actors/line.py)."""

    client: Client
    govern: Govern
    token: str | int | None
    taken_back: bool = attrs.field(default=False, init=False)
    _progressing: bool = attrs.field(default=False, init=False)
    _telling: int = attrs.field(default=0, init=False)
    _scopes: list[trio.CancelScope] = attrs.field(factory=list, init=False)

    @property
    def wants_progress(self) -> bool:
        """Whether the client gave a token by which it is told of progress."""
        return self.token is not None

    def take_back(self) -> None:
        """Cancel what is under way for a client that does not want it any more."""
        self.taken_back = True
        for scope in self._scopes:
            scope.cancel()

    def wanted(self) -> trio.CancelScope:
        """See actors/line.py."""
        scope = trio.CancelScope()
        self._scopes.append(scope)
        if self.taken_back:
            scope.cancel()
        return scope

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """See actors/line.py."""
        if self.token is None or self._progressing:
            return
        said: dict[str, JSONValue] = {"progress": progress, "progressToken": self.token}
        if total is not None:
            said["total"] = total
        if message is not None:
            said["message"] = message[:MAX_WORDS]
        self._progressing = True
        try:
            await self.tell("notifications/progress", said)
        finally:
            self._progressing = False

    async def tell(self, method: str, params: JSONValue) -> None:
        """See actors/line.py."""
        if not self.taken_back and self._telling < MAX_TOLD:
            self._telling += 1
            try:
                await self._said(method, params)
            finally:
                self._telling -= 1

    async def _said(self, method: str, params: JSONValue) -> None:
        await self.client.say(record_bytes({"jsonrpc": "2.0", "method": method, "params": params}))

    async def ask(self, tool: str, params: JSONValue) -> JSONValue:
        """See actors/line.py."""
        answer = await self.govern(tool, params, self)
        if not answer.allowed:
            raise NotGranted(refusal(answer))
        return answer.output

    async def request(self, method: str, params: JSONValue) -> JSONValue:
        """See actors/line.py."""
        return await self.client.ask(method, params)
