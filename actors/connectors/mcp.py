"""An MCP server as tools: a program, started and ended with the kernel, or an address, asked through the official SDK.

What it lists is compared with the pins of the policy before it is asked anything. A tool that is not listed as it was
pinned is never called: whoever changed it may have changed what it does (T3).
"""

from __future__ import annotations

import logging
import math
import os
import ssl
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

import attrs
import trio
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ErrorData,
    InputRequiredResult,
)
from mcp_types.methods import CLIENT_REQUESTS, MONOLITH_REQUESTS, is_input_required
from pydantic import RootModel, ValidationError

from actors.connectors.mcp_back import Back
from actors.connectors.mcp_http import UNDERWAY, Departure, Note, open_address, unnoted
from actors.connectors.mcp_stdio import Lost, open_program
from actors.connectors.port import (
    PERMIT_HEADER,
    PERMIT_MEMBER,
    Connector,
    ConnectorFailed,
    ConnectorUnknown,
    Dispatch,
    NotDispatched,
    Report,
)
from actors.connectors.resolver import Resolver
from actors.connectors.trouble import Trouble, after
from actors.line import Line, NotGranted
from actors.origin import META
from actors.process.clock import Clock, SystemClock
from actors.process.environs import environs
from actors.process.events import CONNECTION_FAILED, event
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical
from helm.guardian.bundle_tools import MAX_TIMEOUT_MS
from helm.guardian.connection import McpConnection
from helm.guardian.methods import METHODS, OF_CLIENT
from helm.guardian.methods import PIN as METHOD_PIN
from helm.guardian.policy import Policy
from helm.mcp.pins import MAX_TOOLS, ListedTool, listing_of

READY_S: Final = 20.0
"""How long a call waits for a server that is being started: package runners fetch before they run."""

START_S: Final = 60.0
"""How long a server may take to be started, greet and list its tools (T4)."""

LIST_AGAIN_S: Final = MAX_TIMEOUT_MS / 1000
"""How long a server that goes on may take to say again what it lists: some answer nothing while a call lasts (T4)."""

AGAIN_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
"""How long to wait before a server that ended is started again: longer each time, so that it does not spin (T4)."""

STEADY_S: Final = 2 * START_S
"""A server that ran for so long was there for others: when it ends, the waiting begins anew."""

LOST: Final = frozenset({CONNECTION_CLOSED, PARSE_ERROR, REQUEST_TIMEOUT})
"""Codes by which the SDK tells of an answer that did not come, or cannot be read. A server that sends them itself is
not believed more."""

MAX_PAGES: Final = 64
"""Pages of one listing: a server whose pages never end is not followed (T4)."""

LOG: Final = logging.getLogger("helm.connectors")

for name in ("client", "mcp"):  # the SDK's logs hold a server's own words: none of them goes to our stderr by itself
    logging.getLogger(name).addHandler(logging.NullHandler())

MAX_ROUNDS: Final = 8
"""How often a server may ask back before it has answered one call (T4)."""

MAX_QUESTIONS: Final = 16
"""Questions of a server's at once: each is a governed call (T4)."""

ENVELOPE: Final = frozenset({"_meta", "cacheScope", "resultType", "ttlMs"})
"""Members of every result, whatever it is of."""

Raw = RootModel[dict[str, Any]]
"""A result as it came: what is in it is judged by the pinned schema."""

GONE: Final = (OSError, ValueError, trio.BrokenResourceError, trio.ClosedResourceError, Lost, MCPError)
"""How a server is lost, or never comes."""


@attrs.define
class Pauses:
    """How long to wait before the next try."""

    _tries: int = 0

    def after(self, ran_s: float) -> float:
        """Return how many seconds to wait after a try that lasted `ran_s` seconds."""
        self._tries = 1 if ran_s >= STEADY_S else self._tries + 1
        return AGAIN_S[min(self._tries, len(AGAIN_S)) - 1]


@attrs.define(eq=False)
class McpConnector:
    """One server. `pins` are by operation, as the policy has them."""

    connection: McpConnection
    pins: Mapping[str, str]
    environment: Mapping[str, str] = attrs.field(factory=lambda: environs(os.environ), repr=False)
    """Where the variables that it is told come from: they are read once, here."""
    resolver: Resolver | None = None
    ssl_context: ssl.SSLContext | None = None
    clock: Clock = attrs.field(factory=SystemClock)
    listing: Mapping[str, ListedTool] = attrs.field(factory=dict, init=False)
    """What is listed now."""
    trouble: Trouble | None = attrs.field(default=None, init=False)
    """Why there is no server to ask, None while there is one, and before the first try has ended."""
    back: Back = attrs.field(init=False)
    _met: str = attrs.field(default="", init=False)
    """The last exchange over HTTP that failed."""
    _client: Client | None = attrs.field(default=None, init=False)
    _ready: trio.Event = attrs.field(factory=trio.Event, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _again: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set where it is to be looked at again, or tried again if it is not there. One task at a time waits for it."""

    def __attrs_post_init__(self) -> None:
        passed = frozenset(operation for operation, pin in self.pins.items() if pin == METHOD_PIN)
        self.back = Back(self.connection.name, passed)
        named = (*self.connection.environment, self.connection.bearer)
        self.environment = {name: self.environment[name] for name in named if name in self.environment}

    def is_same(self, other: Connector, /) -> bool:
        """Tell whether `other` is of the same description and pins, and would tell the server the same secrets."""
        return isinstance(other, McpConnector) and self._made_of() == other._made_of()

    def _made_of(self) -> tuple[object, ...]:
        return self.connection, dict(self.pins), self.environment, self.resolver, self.ssl_context

    def look_again(self) -> None:
        """Have the server say again what it lists, or be tried again at once where it cannot be asked."""
        self._again.set()

    async def attend(self, report: Report) -> NoReturn:
        """Keep the server running, and compare what it lists with the pins, for ever."""
        pauses = Pauses()
        while True:
            begun = trio.current_time()
            try:
                await self._serve(report)
            except* Exception as lost:  # a server makes the SDK raise what it likes, and ends no kernel by it (T4)
                self.trouble = after(self.trouble, self._why(lost), self.clock.now_ms())
                known = event(CONNECTION_FAILED, connector=self.connection.name)
                LOG.warning("an MCP server cannot be asked; it is tried again", exc_info=lost, extra=known)
            finally:
                self._client = None
                if self._ready.is_set():
                    self._ready = trio.Event()
            with trio.move_on_after(pauses.after(trio.current_time() - begun)):
                await self._again.wait()
            self._again = trio.Event()

    async def _serve(self, report: Report) -> None:
        self._met = ""
        link = link_to(
            self.connection,
            self.environment,
            resolver=self.resolver,
            ssl_context=self.ssl_context,
            note=self._note,
        )
        with trio.CancelScope(deadline=trio.current_time() + START_S) as patience:
            async with Client(link, message_handler=self._heard, **self.back.callbacks()) as client:
                patience.deadline = math.inf
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._list_again, client, report)
                    await self._watch(client, report)
        raise Lost(f"it did not greet within {START_S:g} s")

    async def _watch(self, client: Client, report: Report) -> NoReturn:
        """Know what is listed, look again whenever it may have changed, for as long as the server is there."""
        while True:
            self._changed = trio.Event()
            self.listing = await self._listed(client, START_S)
            await self._report_drift(report)
            self._client, self.trouble = client, None
            self._ready.set()
            await self._changed.wait()
            self._client, self._ready = None, trio.Event()  # nobody is asked by the old listing

    async def _list_again(self, client: Client, report: Report) -> NoReturn:
        """Compare what is listed with the pins whenever that is asked for, while calls go on.

        Nothing says that it has changed. If it has, that counts from here as if the server had said so.
        """
        while True:
            await self._again.wait()
            self._again = trio.Event()
            await self._ready.wait()
            seen = await self._listed(client, LIST_AGAIN_S)
            if seen == self.listing:
                await self._report_drift(report)
            else:
                self._changed.set()

    async def _listed(self, client: Client, within_s: float) -> Mapping[str, ListedTool]:
        """Return what is listed. Raises Lost, without a word of the server's, where that cannot be used."""
        self._met = ""
        try:
            with trio.fail_after(within_s):
                return await listed(client, self.connection.name)
        except trio.TooSlowError as problem:
            raise Lost(f"it did not list its tools within {within_s:g} s") from problem
        except Invalid as problem:
            raise Lost("what it lists cannot be used: `helm mcp pin` says why") from problem

    def _note(self, said: str) -> None:
        self._met = said

    def _why(self, lost: BaseExceptionGroup[BaseException]) -> str:
        """Return why there is no server to ask; what it said itself is left out, it may say anything (T2)."""
        first = first_of(lost)
        match first:
            case Lost():
                return str(first)
            case Invalid():
                return first.what
            case OSError() if first.errno:
                return f"its program cannot be started: {os.strerror(first.errno)}"
            case _ if self._met:
                return self._met
            case MCPError():
                return f"it answered with the error {first.error.code}"
            case _:
                return f"it does not speak MCP: {type(first).__name__}"

    async def _heard(self, message: Any) -> None:
        """Look again at what is listed: after a notification that it changed, and when the server is gone."""
        method = "" if isinstance(message, Exception) else str(getattr(message, "method", ""))
        self.back.heard(method)
        if method in ("", "notifications/tools/list_changed"):
            self._changed.set()

    async def _report_drift(self, report: Report) -> None:
        for operation, pin in self.pins.items():
            if operation in METHODS:
                continue
            found = self.listing.get(operation)
            if found is None or found.pin != pin:
                await report(self.connection.name, operation, "" if found is None else found.pin)

    async def listed(self) -> None:
        """Return once the server's tools are known, and compared with their pins."""
        await self._ready.wait()

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Call the tool, or use the method, and return what came of it. Raises as the port says."""
        operation = order.operation or order.tool
        if operation in OF_CLIENT:
            return await self._ask_client(operation, order)
        sent = False
        with order.line.wanted() if order.line else trio.CancelScope(), self.back.under_way(order.line):
            client = await self._asked()
            request = self._request(client, operation, order)
            sent = True
            raw = await self._exchange(client, request, order)
            return self._kept(plain(raw)) if operation in METHODS else self._answer(CallToolResult.model_validate(raw))
        if sent:
            raise ConnectorUnknown("its client took the call back while it was under way; the server was told so")
        reason = "its client took the call back before it was sent"
        raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, reason)

    async def _ask_client(self, method: str, order: Dispatch) -> JSONValue:
        if order.line is None:
            reason = "the call came through a door that keeps no way back to its client"
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, reason)
        return await order.line.request(method, order.parsed)

    def _request(self, client: Client, operation: str, order: Dispatch) -> Any:
        """Return what the server is sent. Raises NotDispatched for what it does not list, or does not speak."""
        meta = beside(order)
        if operation in METHODS:
            if (operation, client.protocol_version) not in CLIENT_REQUESTS:
                reason = f"the server speaks {client.protocol_version}, which has no {operation}"
                raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, reason)
            if type(order.parsed) is not dict or "_meta" in order.parsed:
                raise NotDispatched(ReasonCode.SCHEMA_VIOLATION, f"these are no params of {operation}")
            try:
                params = {**order.parsed, **meta}
                return MONOLITH_REQUESTS[operation].model_validate({"method": operation, "params": params})
            except ValidationError as problem:
                raise NotDispatched(ReasonCode.SCHEMA_VIOLATION, f"these are no params of {operation}") from problem
        found = self.listing.get(operation)
        if found is None or found.pin != self.pins.get(operation):
            reason = f"{operation} is not listed as it was pinned"
            raise NotDispatched(ReasonCode.SCHEMA_VIOLATION, reason)
        params = {"name": operation, "arguments": order.parsed, **meta}
        return CallToolRequest(params=CallToolRequestParams.model_validate(params, by_name=False))

    async def _exchange(self, client: Client, request: Any, order: Dispatch) -> dict[str, JSONValue]:
        departure = Departure(headers_beside(order))
        UNDERWAY.set(departure)  # of this order's task, and of what the SDK starts to send it
        try:
            return await self._asked_back(client, request, order.line)
        except NotGranted as refusal:
            raise ConnectorFailed(str(refusal)) from refusal
        except MCPError as problem:
            if departure.problem is not None:
                raise departure.problem from problem
            if problem.error.code in LOST:
                self._changed.set()
                raise ConnectorUnknown("the server was lost before it answered") from problem
            raise ConnectorFailed(f"the server answered {problem.error.code}: {problem.error.message}") from problem
        except Exception as problem:  # whatever the SDK raises once it was asked tells nothing of the effect
            self._changed.set()
            raise ConnectorUnknown(f"no answer that can be read: {type(problem).__name__}") from problem

    async def _asked_back(self, client: Client, request: Any, line: Line | None) -> dict[str, JSONValue]:
        """Return the answer to a request; what the server asks for in between is the client's to answer.

        Not `client.call_tool`, which judges the answer itself: the pinned schema is the executor's to hold it to.
        """
        progress = line.progress if line is not None and line.wants_progress else None
        for _ in range(MAX_ROUNDS):
            raw = (await client.session.send_request(request, Raw, progress_callback=progress)).root
            if not is_input_required(raw):
                return raw
            asked = InputRequiredResult.model_validate(raw)
            questions = asked.input_requests or {}
            if len(questions) > MAX_QUESTIONS:
                raise NotGranted(f"the server asks {len(questions)} questions at once")
            answers = {key: await self.back.answer(question, line) for key, question in questions.items()}
            refusal = next((one.message for one in answers.values() if isinstance(one, ErrorData)), "")
            if refusal:
                raise NotGranted(f"the server asked its client for something: {refusal}")
            more = {"input_responses": answers or None, "request_state": asked.request_state}
            request = request.model_copy(update={"params": request.params.model_copy(update=more)})
        raise NotGranted("the server asks its client for ever")

    async def _asked(self) -> Client:
        """Return who is to be asked. Raises NotDispatched where nobody is there in time."""
        with trio.move_on_after(READY_S):
            while self._client is None:  # it may be looked at again between its being ready and our being woken
                await self._ready.wait()
        if self._client is None:
            failure = f"it cannot be asked: {self.trouble.said}" if self.trouble else "it was not started yet"
            reason = f"the server {self.connection.name} is not there: {failure}"
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, reason)
        return self._client

    def _answer(self, result: CallToolResult) -> JSONValue:
        body = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        content = body.get("content", [])
        if result.is_error:
            said = " ".join(part["text"] for part in content if part.get("type") == "text")
            raise ConnectorFailed(said or "the tool failed and said nothing")
        answer = {"content": content}
        if "structuredContent" in body:
            answer["structuredContent"] = body["structuredContent"]
        return self._kept(answer)

    def _kept(self, answer: JSONValue) -> JSONValue:
        try:
            canonical(answer, max_bytes=self.connection.max_response_bytes)
        except Malformed as problem:
            raise ConnectorUnknown(f"an answer that cannot be kept: {problem}") from problem
        return answer

    async def aclose(self) -> None:
        """Nothing is held outside `attend`, which has ended by now."""


def plain(raw: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the result of a method without what only its revision, or only its sender, says of it."""
    return {name: value for name, value in raw.items() if name not in ENVELOPE}


async def listed(client: Client, server_id: str) -> dict[str, ListedTool]:
    """Return everything a server lists. Raises Invalid."""
    return listing_of(await bodies(client, server_id), f"server {server_id}")


async def bodies(client: Client, server_id: str) -> list[JSONValue]:
    """Return all that a server says of its tools, annotations and all. Raises Invalid."""
    tools: list[JSONValue] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        tools += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None or len(tools) > MAX_TOOLS:
            return tools
    raise Invalid(f"a listing of more than {MAX_PAGES} pages", f"server {server_id}")


async def look_at(connection: McpConnection) -> dict[str, ListedTool]:
    """Start a server for as long as it takes to list its tools. Raises Invalid where it does not."""
    return listing_of(await look_closely(connection), f"server {connection.name}")


async def look_closely(connection: McpConnection) -> list[JSONValue]:
    """Start a server for as long as it takes to hear all that it says of its tools. Raises Invalid."""
    where = f"server {connection.name}"
    said: list[JSONValue] = []
    try:
        with trio.fail_after(START_S):
            async with Client(link_to(connection, environs(os.environ))) as client:
                said = await bodies(client, connection.name)
    except* (*GONE, Invalid, trio.TooSlowError) as lost:
        hint = "run its command by hand" if connection.command else "is this the address of an MCP server?"
        raise Invalid(f"it does not list its tools: {words(lost)}", where, hint) from lost
    return said


def link_to(
    connection: McpConnection,
    environment: Mapping[str, str],
    *,
    resolver: Resolver | None = None,
    ssl_context: ssl.SSLContext | None = None,
    note: Note = unnoted,
) -> Any:
    """Return how the SDK reaches a server: a program to start, or streams to an address."""
    if connection.url:
        return open_address(connection, environment, resolver=resolver, ssl_context=ssl_context, note=note)
    return open_program(connection, environment)


def pins_for(policy: Policy, server_id: str) -> dict[str, str]:
    """Return the pins that a policy has for one server, by operation."""
    return {rule.operation or rule.name: rule.pin for rule in rules_of(policy, server_id)}


def rules_of(policy: Policy, server_id: str) -> Iterable[Any]:
    return (rule for rule in policy.tools.values() if rule.connector == server_id)


def beside(order: Dispatch) -> dict[str, JSONValue]:
    """Return what stands beside the arguments in a message: the permit and the trace, where there are any."""
    meta = {PERMIT_MEMBER: order.permit.decode()} if order.permit else {}
    if order.traceparent:
        meta[META] = order.traceparent
    return {"_meta": meta} if meta else {}


def headers_beside(order: Dispatch) -> dict[str, str]:
    """Return the same as headers of the request that carries the message, where one does."""
    headers = {PERMIT_HEADER: urlsafe_b64encode(order.permit).decode()} if order.permit else {}
    if order.traceparent:
        headers["traceparent"] = order.traceparent
    return headers


def words(lost: BaseExceptionGroup[BaseException]) -> str:
    """Return what the first of several failures says."""
    first = first_of(lost)
    return f"{type(first).__name__} {first}".strip()[:300]


def first_of(lost: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of several failures."""
    first: BaseException = lost
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
