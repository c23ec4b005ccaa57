"""JSON-RPC as MCP speaks it: one message in, one message out, and the errors in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import MAX_DEPTH, fragment, parse, record_bytes
from helm.guardian.intake import MAX_SAFE_INTEGER

__all__ = [
    "HANDSHAKE_PROTOCOL_VERSIONS",
    "HEADER_MISMATCH",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "LATEST_HANDSHAKE_VERSION",
    "METHOD_NOT_FOUND",
    "MODERN_PROTOCOL_VERSIONS",
    "PARSE_ERROR",
    "PROTOCOL_VERSION_META_KEY",
    "SERVER_INFO_META_KEY",
    "UNSUPPORTED_PROTOCOL_VERSION",
]

OVERLOADED: Final = -32000
STOPPED: Final = -32001
INSUFFICIENT_SCOPE: Final = -32002
"""Of JSON-RPC's codes for servers, the part that MCP leaves to implementations."""

HTTP_STATUS: Final[Mapping[int, int]] = MappingProxyType(
    {
        PARSE_ERROR: 400,
        INVALID_REQUEST: 400,
        INVALID_PARAMS: 400,
        HEADER_MISMATCH: 400,
        UNSUPPORTED_PROTOCOL_VERSION: 400,
        METHOD_NOT_FOUND: 404,
        INSUFFICIENT_SCOPE: 403,
        OVERLOADED: 503,
        STOPPED: 503,
    }
)
"""What HTTP calls an error, since revision 2026-07-28; any other is told with 200."""

MESSAGE_DEPTH: Final = MAX_DEPTH + 4
"""Arguments as deep as they may be, in the params of a message, and one more to see that they are not."""

MAX_ID: Final = 256
"""Characters of a request's id: it is sent back as it came (T4)."""

MAX_METHOD: Final = 128
"""Characters of a method that is named in a refusal."""


@attrs.frozen
class Fault(Exception):
    """A JSON-RPC error: what a request is answered with that became no governed call, or one without a tool."""

    code: int
    message: str
    data: JSONValue = None


@attrs.frozen
class Message:
    """A request, or a notification where `id` is None."""

    id: str | int | None
    method: str
    params: Mapping[str, JSONValue]

    @property
    def meta(self) -> Mapping[str, JSONValue]:
        """Return the message's _meta, empty where there is none."""
        meta = self.params.get("_meta")
        return meta if type(meta) is dict else {}

    @property
    def is_modern(self) -> bool:
        """Tell whether the message carries the envelope of revision 2026-07-28 and later."""
        return PROTOCOL_VERSION_META_KEY in self.meta and self.method != "initialize"


@attrs.frozen
class Reply:
    """The answer to something that we asked of the client: its result, or the words of its error."""

    id: str
    result: JSONValue
    error: str


@attrs.frozen
class Torn:
    """Bytes that are no acceptable JSON and yet name a call of a tool: it is refused with a record."""

    id: str | int | None
    tool: str
    problem: str


def read(raw: bytes, max_bytes: int) -> Message | Torn | Reply:
    """Return the one message in `raw`. Raises Fault for what is none."""
    try:
        body = parse(raw, max_bytes=max_bytes, max_depth=MESSAGE_DEPTH)
    except Malformed as problem:
        return torn(raw, problem)
    return reply_of(body) or message_of(body)


def reply_of(body: JSONValue) -> Reply | None:
    """Return a JSON value as an answer to us, None for what is none: our ids are strings, and an error has words."""
    if type(body) is not dict or body.get("jsonrpc") != "2.0" or "method" in body or type(body.get("id")) is not str:
        return None
    error = body.get("error")
    if "result" in body and error is None:
        return Reply(body["id"], body["result"], "")
    if type(error) is dict and type(error.get("message")) is str:
        return Reply(body["id"], None, error["message"] or "an error without words")
    return None


def message_of(body: JSONValue) -> Message:
    """Return a JSON value as a message. Raises Fault, also for the batches of revision 2025-03-26 and for answers."""
    if type(body) is not dict or body.get("jsonrpc") != "2.0" or type(body.get("method")) is not str:
        raise Fault(INVALID_REQUEST, "not one JSON-RPC 2.0 request or notification; batches and answers are not taken")
    params = body.get("params", {})
    if type(params) is not dict:
        raise Fault(INVALID_PARAMS, "params is not an object")
    return Message(id_in(body), body["method"], params)


def id_in(body: Mapping[str, JSONValue]) -> str | int | None:
    """Return a request's id, None for a notification. Raises Fault for one that is no id."""
    if "id" not in body:
        return None
    found = body["id"]
    if type(found) is int and abs(found) <= MAX_SAFE_INTEGER:
        return found
    if type(found) is str and len(found) <= MAX_ID and not any("\ud800" <= char <= "\udfff" for char in found):
        return found
    raise Fault(INVALID_REQUEST, f"an id is a whole number or a string of at most {MAX_ID} characters")


def torn(raw: bytes, problem: Malformed) -> Torn:
    """Return the call that a careless reader would find in `raw`. Raises Fault where it would find none."""
    try:
        body = json.loads(raw)
        message = message_of(body)
    except (ValueError, RecursionError, Fault):
        raise Fault(PARSE_ERROR, f"not acceptable JSON: {problem}") from problem
    tool = message.params.get("name")
    if message.method != "tools/call" or message.id is None or type(tool) is not str:
        raise Fault(PARSE_ERROR, f"not acceptable JSON: {problem}")
    return Torn(message.id, tool, str(problem))


def told(id_: str | int | None, result: JSONValue) -> bytes:
    """Return the answer to a request. `result` is a JSON value, or one written already."""
    written = fragment(result) if type(result) is bytes else result
    return record_bytes({"id": id_, "jsonrpc": "2.0", "result": written})


def refused(id_: str | int | None, fault: Fault) -> bytes:
    """Return the error that a request is answered with."""
    error: dict[str, JSONValue] = {"code": fault.code, "message": fault.message}
    if fault.data is not None:
        error["data"] = fault.data
    return record_bytes({"error": error, "id": id_, "jsonrpc": "2.0"})


def version_of(message: Message) -> str:
    """Return the revision that a message's envelope names. Raises Fault where it is not complete, or not spoken."""
    named = message.meta[PROTOCOL_VERSION_META_KEY]
    if type(named) is not str or CLIENT_CAPABILITIES_META_KEY not in message.meta:
        both = f"{PROTOCOL_VERSION_META_KEY} and {CLIENT_CAPABILITIES_META_KEY}"
        raise Fault(INVALID_PARAMS, f"params._meta must hold {both}")
    if named not in MODERN_PROTOCOL_VERSIONS:
        data = {"requested": named, "supported": list(MODERN_PROTOCOL_VERSIONS)}
        raise Fault(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)
    return named
