"""One exchange with the model: within the ceilings, read to its end, its tool calls judged, and only then told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio

from actors.commands.exchanges import BeginExchange, SettleExchange
from actors.connectors.upstream import Incoming, Upstream, UpstreamFailed
from actors.doors.calls import Scope, Send, say_at_once
from actors.doors.entry import UNANSWERED, untold
from actors.doors.heading import SECURITY, Heading
from actors.doors.openai.court import Court, Ruled
from actors.doors.openai.proxy import Proxy
from actors.doors.openai.said import STREAM, Failed, say_json, say_stream
from actors.doors.problem import Problem
from actors.doors.told import Told
from helm.contracts.call import CallContext
from helm.contracts.errors import Malformed, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import parse
from helm.guardian.intake import Caller
from helm.openai.ask import Ask, not_an_answer, written
from helm.openai.chat import read_chat
from helm.openai.chat_stream import ChatStream
from helm.openai.prices import used
from helm.openai.request import ANSWER, CHAT, REQUEST, Asked
from helm.openai.responses import read_response
from helm.openai.responses_stream import ResponseStream
from helm.openai.sse import Events
from helm.openai.telling import error_event, upstream_error

MAX_PIECES = 131_072
"""Pieces an answer may arrive in: megabytes in pieces of one byte are an attack on the loop (T4)."""

OURS = frozenset({401, 403})
"""What the upstream says of HELM's key is none of the client's."""

KEY = b"x-upstream-key"


@attrs.define(eq=False)
class Exchange:
    """One request of a client's, from its body to the last byte of its answer."""

    court: Court
    proxy: Proxy
    upstream: Upstream
    caller: Caller
    heading: Heading
    scope: Scope
    send: Send
    still: Callable[[], bool]
    """Tells whether what the client came with counts still: a model takes its time."""
    _seen: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    """What came of the answer, so that a refusal can be about its very bytes."""
    _pieces: int = attrs.field(default=0, init=False)
    """In how many pieces."""
    _asked: Asked | None = attrs.field(default=None, init=False)
    _begun: BeginExchange | None = attrs.field(default=None, init=False)
    """What is reserved, until it is settled."""
    _usage: JSONValue = attrs.field(default=None, init=False)
    _is_free: bool = attrs.field(default=False, init=False)
    """Whether the model provably never began: then nothing is charged."""
    _is_told: bool = attrs.field(default=False, init=False)
    """Whether some of the answer was let through already."""

    async def models(self) -> None:
        """Tell which models the upstream has."""
        try:
            with trio.fail_after(self.proxy.config.proxy_timeout_s):
                async with self.upstream.ask("GET", "/models", self._headers(stream=False), None) as incoming:
                    if incoming.status != 200:
                        await self._pass_error(incoming)
                        return
                    document = await self._document(incoming)
        except (UpstreamFailed, trio.TooSlowError, Refused) as failure:
            raise Problem(status=502, detail=f"the upstream's models are not known: {failure}") from failure
        await self._tell(say_json(200, written(document), self.heading))

    async def run(self, path: str, raw: bytes, asked: Asked) -> None:
        """Ask the model and tell its answer. Raises Failed for whatever is refused, with its receipt."""
        await self._begin(raw, asked)
        self._asked = asked
        try:
            ruled = await self._ask(path, raw, asked)
        except Refused as refusal:
            answer = await self.court.refuse(self.caller, ANSWER, bytes(self._seen), refusal)
            await self._fail(Failed(502, answer))
        except Problem as problem:
            if not self._is_told:
                raise
            await self._break_off(error_event(problem.detail, "helm_error", ""))
        else:
            await self._check_denied(ruled)
        finally:
            await self._settle()

    async def _begin(self, raw: bytes, asked: Asked) -> None:
        """Reserve what the exchange may cost. Raises Failed where a ceiling has no room for it."""
        if not any(attrs.astuple(self.proxy.ceilings)):
            return
        try:
            self._begun = BeginExchange(self.caller, self._reserve(raw, asked), self.proxy.ceilings)
            await self.court.kernel.command(self._begun)
        except Refused as refusal:
            self._begun = None
            raise Failed(403, await self.court.refuse(self.caller, REQUEST, raw, refusal)) from refusal
        except UNANSWERED as failure:
            raise untold(failure) from failure

    def _reserve(self, raw: bytes, asked: Asked) -> int:
        """Return the most that the exchange may cost, in microcents: no token is shorter than a byte."""
        config = self.proxy.config
        if not self.proxy.ceilings.spend_microcents:
            return 0
        if config.island_mode and not asked.output_tokens:
            what = "in island mode a request says how long its answer may be: max_completion_tokens, max_output_tokens"
            raise Refused(ReasonCode.ERR_ISLAND_MODE_RESTRICTED, what)
        return self.proxy.prices.price(asked.model).of(len(raw), asked.output_tokens or config.proxy_output_tokens)

    async def _settle(self) -> None:
        """Put what was used in the place of the reservation, once; what is not known stays reserved.

        Before the answer is told: whoever has it may ask again, and is not to find its own reservation in the way.
        """
        begun = self._begun
        if begun is None or self._asked is None or not begun.reserved_microcents:
            return
        tokens = (0, 0) if self._is_free else used(self._usage)
        if tokens is None:
            return
        self._begun = None
        change = self.proxy.prices.price(self._asked.model).of(*tokens) - begun.reserved_microcents
        try:
            await self.court.kernel.command(SettleExchange(self.caller, begun.began_at_ms, change))
        except UNANSWERED:
            return  # the reservation stands: more is charged than was used, never less

    async def _ask(self, path: str, raw: bytes, asked: Asked) -> list[Ruled]:
        try:
            with trio.fail_after(self.proxy.config.proxy_timeout_s):
                async with self.upstream.ask("POST", path, self._headers(stream=asked.stream), raw) as incoming:
                    if incoming.status != 200:
                        return await self._pass_error(incoming)
                    tell = self._stream if asked.stream else self._whole
                    return await tell(incoming, path)
        except UpstreamFailed as failure:
            self._is_free = not failure.sent
            code = ReasonCode.ENVELOPE_INVALID if failure.sent else ReasonCode.ERR_CONNECTOR_ERROR
            raise Refused(code, f"no whole answer came: {failure}") from failure
        except trio.TooSlowError as failure:
            raise Refused(ReasonCode.ERR_CONNECTOR_TIMEOUT, "no whole answer came in time") from failure

    def _headers(self, *, stream: bool) -> list[tuple[bytes, bytes]]:
        """Return what the upstream is told: of the client's own headers only its trace goes on."""
        accept = STREAM[1] if stream else b"application/json"
        headers = [(b"accept", accept), (b"content-type", b"application/json"), (b"user-agent", b"helm")]
        key = self.heading.get(KEY) if self.proxy.config.proxy_client_key else self.proxy.key.encode()
        if key:
            headers.append((b"authorization", b"Bearer " + key))
        if self.heading.traceparent:
            headers.append((b"traceparent", self.heading.traceparent))
        return headers

    async def _pass_error(self, incoming: Incoming) -> list[Ruled]:
        """Tell the client what the upstream has to say for not answering, in an object of ours."""
        if incoming.status < 400:
            raise not_an_answer(f"HTTP {incoming.status}; redirects are not followed, and 200 is the one success")
        self._is_free = incoming.status < 500
        document = None
        try:
            document = parse(await self._collect(incoming))
        except Malformed:
            pass  # words of an error are a courtesy
        await self._settle()
        status = 502 if incoming.status in OURS else incoming.status
        told = say_json(status, upstream_error(incoming.status, document), self.heading)
        retry_after = incoming.header(b"retry-after")
        if retry_after.isdecimal():
            told.headers.append((b"retry-after", retry_after.encode()))
        await self._tell(told)
        return []

    async def _whole(self, incoming: Incoming, path: str) -> list[Ruled]:
        """Judge an answer in one piece and tell it."""
        document = await self._document(incoming)
        answer = read_chat(document) if path == CHAT else read_response(document)
        self._usage = answer.usage
        await self._settle()
        ruled = await self._rule(answer.asks)
        told = written(answer.ruled(rulings_of(ruled)))
        if not self._refuses(ruled):
            await self._tell(say_json(200, told, self.heading, ruled))
        return ruled

    async def _document(self, incoming: Incoming) -> JSONValue:
        check_kind(incoming, "application/json")
        raw = await self._collect(incoming)
        try:
            return parse(raw, max_bytes=len(raw))
        except Malformed as problem:
            raise not_an_answer(f"the answer is not acceptable JSON: {problem}") from problem

    async def _stream(self, incoming: Incoming, path: str) -> list[Ruled]:
        """Read a stream to its end, judge what it asks for, and tell it; text may go ahead where a setting says so."""
        check_kind(incoming, "text/event-stream")
        events, stream = Events(), ChatStream() if path == CHAT else ResponseStream()
        held: list[bytes] = []
        async for piece in incoming.pieces:
            self._see(piece)
            for data in events.feed(piece):
                held += stream.feed(data)
                if held and self.proxy.config.proxy_early_text:
                    await self._let_through(b"".join(held))
                    held = []
        self._usage = stream.usage
        events.check_end()
        await self._settle()
        asks = stream.close()
        ruled = await self._rule(asks)
        if not self._refuses(ruled):
            await self._end_stream(b"".join([*held, *stream.tail(asks, rulings_of(ruled))]), ruled)
        return ruled

    async def _rule(self, asks: Sequence[Ask]) -> list[Ruled]:
        if not asks:
            return []
        return await self.court.rule_all(self.caller if self.still() else unknown(self.caller), asks)

    async def _collect(self, incoming: Incoming) -> bytes:
        async for piece in incoming.pieces:
            self._see(piece)
        return bytes(self._seen)

    def _see(self, piece: bytes) -> None:
        """Take the next piece of the answer. Raises Refused for one that is too long, or comes in too many."""
        limit = self.proxy.config.proxy_max_answer_bytes
        self._pieces += 1
        self._seen += piece
        if len(self._seen) > limit or self._pieces > MAX_PIECES:
            raise not_an_answer(f"the answer is longer than {limit} bytes, or comes in too many pieces")

    async def _tell(self, told: Told) -> None:
        await say_at_once(told, self.scope, self.send)

    async def _let_through(self, events: bytes) -> None:
        if not self._is_told:
            self._is_told = True
            headers = [STREAM, *SECURITY, *self.heading.echoed()]
            await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self.send({"type": "http.response.body", "body": events, "more_body": True})

    async def _end_stream(self, events: bytes, ruled: Sequence[Ruled]) -> None:
        if self._is_told:
            await self.send({"type": "http.response.body", "body": events})
        else:
            await self._tell(say_stream(events, self.heading, ruled))

    def _refuses(self, ruled: Sequence[Ruled]) -> bool:
        return self.proxy.config.proxy_denied == "refuse" and any(one.ruling.told for one in ruled)

    async def _check_denied(self, ruled: Sequence[Ruled]) -> None:
        """Refuse the whole answer for one denied call, where the settings say so."""
        if self._refuses(ruled):
            await self._fail(Failed(403, next(one.answer for one in ruled if one.ruling.told)))

    async def _fail(self, failed: Failed) -> None:
        """Raise Failed, or break off the stream of which the client has seen the beginning."""
        if not self._is_told:
            raise failed
        answer = failed.answer
        await self._break_off(error_event(answer.reason, answer.reason_code, answer.receipt.receipt_id))

    async def _break_off(self, event: bytes) -> None:
        await self.send({"type": "http.response.body", "body": event})


def rulings_of(ruled: Sequence[Ruled]) -> dict[str, Any]:
    """Return what was ruled, by the calls' ids."""
    return {one.ask.call_id: one.ruling for one in ruled}


def check_kind(incoming: Incoming, wanted: str) -> None:
    """Raise Refused for an answer in another form than was asked for, or in a coding that hides it."""
    if incoming.header(b"content-encoding") not in ("", "identity"):
        raise not_an_answer("the answer is compressed: nobody asked for that, and nothing is unpacked")
    kind = incoming.header(b"content-type").partition(";")[0].strip()
    if kind != wanted:
        raise not_an_answer(f"the answer is not {wanted}")


def unknown(caller: Caller) -> Caller:
    """Return a caller whose credential counts no more: what is asked in its name now is judged, and refused."""
    context = CallContext(
        credential_hash=caller.context.credential_hash,
        fault=ReasonCode.IDENTITY_ISOLATION_VIOLATION.value,
        fault_reason="its credential counts no more",
    )
    return caller.but(context=context)
