"""The core of the door: one message, of any transport and any revision, becomes an answer or a governed call.

It keeps nothing between two messages, so that no client depends on which of its connections it uses, and there is no
session to steal. Whatever it does not serve, it refuses by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import attrs

from actors.doors.entry import UNANSWERED, Entry
from actors.doors.envelope import Asked
from actors.doors.mcp import passing, wire
from actors.doors.mcp.line import CallLine, Client
from actors.doors.mcp.listing import NO_NAMES, Listing, Names, list_tools, names_of
from actors.doors.mcp.result import EVIDENCE, call_result, evidence
from actors.doors.mcp.wire import Fault, Message, Torn
from actors.doors.problem import Problem
from actors.keys.bearer import BearerKey
from actors.line import NotGranted
from actors.mailbox import Answer, KernelStopped, Overloaded
from actors.origin import ORIGIN, Origin, traceparent_in
from helm import __version__
from helm.contracts.call import ToolCall
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import fragment, record_bytes
from helm.guardian.intake import PLAIN, Terms
from helm.guardian.methods import OF_SERVER, name_of
from helm.guardian.oauth import lacking

INSTRUCTIONS: Final = (
    "Every call is judged by HELM against a signed policy before it is executed. A refused call says why; asking again "
    "with other words does not help, other arguments may."
)

SERVER_INFO: Final[Mapping[str, JSONValue]] = MappingProxyType({"name": "helm", "version": __version__})
CAPABILITIES: Final[Mapping[str, JSONValue]] = MappingProxyType({"tools": {}})

NOT_SERVED: Final = frozenset(
    {
        "completion/complete",
        "logging/setLevel",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "subscriptions/listen",
    }
)
"""What MCP has beside tools: the door of one server passes what the policy declares of `OF_SERVER`; no door more."""

NOTICES: Final = frozenset(
    {
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/progress",
        "notifications/roots/list_changed",
    }
)
"""What a client may notify of. A call that it takes back goes on to its receipt all the same."""

TERMS: Final = frozenset({f"{EVIDENCE}approval_id", f"{EVIDENCE}idempotency_key", f"{EVIDENCE}session_id"})
"""What a caller may say about a call, in its _meta."""


@attrs.define(eq=False)
class Core:
    """What one transport needs to speak MCP."""

    entry: Entry
    max_bytes: int
    server_id: str = ""
    """The one MCP server that this door stands before, "" for one that serves all tools."""
    _listings: dict[tuple[str, str], Listing] = attrs.field(factory=dict, init=False)
    """By tenant and principal, as long as the policy is the same."""
    _names: Names = attrs.field(default=NO_NAMES, init=False)

    def listing(self, key: BearerKey) -> Listing:
        """Return what a caller is shown now."""
        memory, clock = self.entry.kernel.memory, self.entry.kernel.parts.clock
        policy, said = memory.policy_of(key.tenant, key.principal), memory.servers.sequence
        found = self._listings.get((key.tenant, key.principal))
        if found is None or (found.policy_hash, found.said) != (policy.policy_hash, said) or policy.server_pins:
            barring = partial(memory.barring, now_ms=clock.now_ms())
            found = list_tools(policy, key.principal, barring, said, self.server_id)
            self._listings[key.tenant, key.principal] = found
        return found

    def offered(self, key: BearerKey) -> dict[str, JSONValue]:
        """Return what a caller is told that this door can do."""
        if not self.server_id:
            return dict(CAPABILITIES)
        memory, now_ms = self.entry.kernel.memory, self.entry.kernel.parts.clock.now_ms()
        policy, barring = memory.policy_of(key.tenant, key.principal), partial(memory.barring, now_ms=now_ms)
        beside = passing.capabilities(policy, self.server_id, key.principal, barring)
        return {**CAPABILITIES, **beside}

    def line(self, key: BearerKey, client: Client, message: Message) -> CallLine:
        """Return the line of one call of a client that can be reached."""
        token = message.meta.get("progressToken")
        session_id = terms_of(message.meta)[1]

        async def govern(tool: str, params: JSONValue, line: CallLine) -> Answer:
            asked = Asked(tool=tool, session_id=session_id, arguments=params)
            try:
                return await self._govern(self.entry.admit(key, asked, record_bytes(params)), line)
            except (Fault, Problem) as problem:
                raise NotGranted(str(problem)) from problem

        return CallLine(client, govern, token if type(token) in (str, int) else None)

    def capabilities(self, key: BearerKey) -> bytes:
        """Return what this door speaks, and the tools that a caller may call through it, as a JSON object."""
        spoken = {
            "limits": {"message_bytes": self.max_bytes, "message_depth": wire.MESSAGE_DEPTH},
            "protocol_versions": [*wire.HANDSHAKE_PROTOCOL_VERSIONS, *wire.MODERN_PROTOCOL_VERSIONS],
            "refused": sorted(NOT_SERVED),
            "tools": fragment(self.listing(key).modern),
            "transports": ["stdio", "streamable-http", "http"],
        }
        return record_bytes(spoken)

    async def answer(self, key: BearerKey, message: Message | Torn, raw: bytes, line: CallLine | None = None) -> bytes:
        """Return the answer to one message, b"" to a notification. Raises Fault."""
        if isinstance(message, Torn):
            return await self._call(key, message, Asked(tool=message.tool, malformed=message.problem), raw)
        if message.id is None:
            return notice(message)
        traceparent = traceparent_in(message.meta)
        if traceparent:  # nearer to the call than a header of the request that carries it
            ORIGIN.set(Origin(ORIGIN.get().request_id, traceparent))
        version = wire.version_of(message) if message.is_modern else ""
        if message.method == "tools/call":
            return await self._call(key, message, self._asked(message), raw, line)
        if message.method in OF_SERVER and self.server_id:
            return wire.told(message.id, await self._pass(key, message, raw, line))
        return wire.told(message.id, self._served(key, message, modern=version != ""))

    async def _pass(self, key: BearerKey, message: Message, raw: bytes, line: CallLine | None) -> JSONValue:
        """Have a method of the server governed as the call of a tool. Raises Fault."""
        terms, session_id = terms_of(message.meta)
        params = {name: value for name, value in message.params.items() if name != "_meta"}
        tool = name_of(self.server_id, message.method)
        asked = Asked(tool=tool, session_id=session_id, arguments=params, terms=terms)
        try:
            answer = await self._govern(self.entry.admit(key, asked, raw), line)
        except Problem as problem:
            raise Fault(wire.INVALID_PARAMS, problem.detail, problem.place or None) from problem
        self._check_scopes(key, tool, answer)
        return passing.passed(message.method, answer, modern=message.is_modern)

    def _served(self, key: BearerKey, message: Message, *, modern: bool) -> JSONValue:
        self._check_scopes(key, "")
        if message.method == "tools/list":
            return self._tools(key, message, modern=modern)
        if message.method == "server/discover" and modern:
            return discovered(self.offered(key))
        if message.method == "initialize" and not modern:
            return initialized(message, self.offered(key))
        if message.method == "ping" and not modern:
            return {}
        name = message.method[: wire.MAX_METHOD]
        what = "HELM does not serve it here" if message.method in NOT_SERVED else "Method not found"
        raise Fault(wire.METHOD_NOT_FOUND, what, name)

    def _tools(self, key: BearerKey, message: Message, *, modern: bool) -> bytes:
        if message.params.get("cursor") is not None:
            raise Fault(wire.INVALID_PARAMS, "there is one page, and no cursor leads to it")
        listing = self.listing(key)
        if modern:
            return b'{%b,"tools":%b}' % (record_bytes(complete())[1:-1], listing.modern)
        return b'{"tools":%b}' % listing.legacy

    def _asked(self, message: Message) -> Asked:
        """Return the call that a message asks for. Raises Fault where it names no tool."""
        name = message.params.get("name")
        if type(name) is not str or not name:
            raise Fault(wire.INVALID_PARAMS, "params.name is not the name of a tool")
        arguments = message.params.get("arguments", {})
        malformed = "" if type(arguments) is dict else "not an object, at /params/arguments"
        terms, session_id = terms_of(message.meta)
        return Asked(
            tool=self._tool_of(name),
            session_id=session_id,
            arguments=arguments,
            malformed=malformed,
            terms=terms,
        )

    def _tool_of(self, name: str) -> str:
        """Return the policy's name of what a client calls; before one server, every name is of that server.

        A name that stands for nothing is judged as it is. What is not listed has its name all the same: the guardian
        says why it may not be called.
        """
        policy = self.entry.kernel.memory.bundle
        if self._names.policy_hash != policy.policy_hash:
            self._names = names_of(policy, self.server_id)
        tool = self._names.tools.get(name)
        return tool if tool is not None else f"{self.server_id}.{name}" if self.server_id else name

    async def _call(
        self, key: BearerKey, message: Message | Torn, asked: Asked, raw: bytes, line: CallLine | None = None
    ) -> bytes:
        try:
            answer = await self._govern(self.entry.admit(key, asked, raw), line)
        except Problem as problem:
            raise Fault(wire.INVALID_PARAMS, problem.detail, problem.place or None) from problem
        self._check_scopes(key, asked.tool, answer)
        if answer.reason_code is ReasonCode.NO_POLICY_DEFINED:
            raise Fault(wire.INVALID_PARAMS, f"Unknown tool: {answer.reason}", evidence(answer))
        modern = isinstance(message, Message) and message.is_modern
        is_mcp = self.entry.kernel.memory.bundle.rule(asked.tool).pin != ""
        return wire.told(message.id, call_result(answer, modern=modern, is_mcp=is_mcp))

    def _check_scopes(self, key: BearerKey, tool: str, answer: Answer | None = None) -> None:
        """Raise Fault where an access token lacks a scope: its client may ask for a wider one (RFC 6750)."""
        if not key.oauth_resource or (answer and answer.reason_code is not ReasonCode.INSUFFICIENT_PRIVILEGE):
            return
        policy = self.entry.kernel.memory.policy
        missing = lacking(policy.oauth, policy.rule(tool).scopes, key)
        if missing:
            data = {"scopes": missing, **(evidence(answer) if answer else {})}
            raise Fault(wire.INSUFFICIENT_SCOPE, f"the access token does not carry {', '.join(missing)}", data)

    async def _govern(self, call: ToolCall, line: CallLine | None = None) -> Answer:
        try:
            return await self.entry.kernel.govern(call, line=line, origin=ORIGIN.get())
        except Overloaded as problem:
            raise Fault(wire.OVERLOADED, str(problem), {"reason_code": ReasonCode.OVERLOADED.value}) from problem
        except UNANSWERED as failure:
            unknown = isinstance(failure, KernelStopped) and failure.unknown
            data = {"outcome_unknown": unknown, "reason_code": ReasonCode.KERNEL_STOPPED.value}
            raise Fault(wire.STOPPED, "HELM stopped before it could answer", data) from failure


def notice(message: Message) -> bytes:
    """Take a notification. Raises Fault for one that MCP does not have."""
    if message.method not in NOTICES:
        raise Fault(wire.METHOD_NOT_FOUND, "no such notification", message.method[: wire.MAX_METHOD])
    return b""


def complete() -> dict[str, JSONValue]:
    """Return what every result of the modern era carries; nothing of ours is to be kept by anyone."""
    return {
        "_meta": {wire.SERVER_INFO_META_KEY: dict(SERVER_INFO)},
        "cacheScope": "private",
        "resultType": "complete",
        "ttlMs": 0,
    }


def discovered(offered: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the answer to server/discover."""
    return {
        **complete(),
        "capabilities": offered,
        "instructions": INSTRUCTIONS,
        "supportedVersions": list(wire.MODERN_PROTOCOL_VERSIONS),
    }


def initialized(message: Message, offered: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the answer to initialize: the revision that was asked for if it is spoken, else the newest of its era."""
    asked = message.params.get("protocolVersion")
    if type(asked) is not str:
        raise Fault(wire.INVALID_PARAMS, "params.protocolVersion is missing")
    return {
        "capabilities": offered,
        "instructions": INSTRUCTIONS,
        "protocolVersion": asked if asked in wire.HANDSHAKE_PROTOCOL_VERSIONS else wire.LATEST_HANDSHAKE_VERSION,
        "serverInfo": dict(SERVER_INFO),
    }


def terms_of(meta: Mapping[str, JSONValue]) -> tuple[Terms, str]:
    """Return the terms of a call, and its session, as its _meta says them. Raises Fault."""
    said: dict[str, str] = {}
    for name in meta:
        if not name.startswith(EVIDENCE):
            continue
        value = meta[name]
        if name not in TERMS or type(value) is not str or not value:
            raise Fault(wire.INVALID_PARAMS, f"_meta may hold {', '.join(sorted(TERMS))}, each a string", name[:64])
        said[name.removeprefix(EVIDENCE)] = value
    session_id, approval_id = said.get("session_id", ""), said.get("approval_id", "")
    key = said.get("idempotency_key", "")
    return (Terms(approval_id=approval_id, idempotency_key=key) if approval_id or key else PLAIN), session_id
