"""How an MCP server becomes part of a policy: a connector, and each tool that it lists, pinned and described."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from actors.installation import Installation
from actors.policy_file import MAX_POLICY_BYTES, read_policy, sign_text, signature_path, write_signature
from actors.process import durable
from actors.signed_policy import SignedPolicy
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.schema import Schema
from helm.crypto.canonical import reread
from helm.guardian.connection import McpConnection
from helm.guardian.intake import check_name
from helm.guardian.methods import METHODS, OF_CLIENT, name_of
from helm.guardian.policy import Policy
from helm.mcp.pins import ListedTool
from helm.mcp.schemas import adopted

EPOCH: Final = re.compile(r"^epoch[ \t]*=[ \t]*([0-9_]+)", re.MULTILINE)


@attrs.frozen(kw_only=True)
class Terms:
    """What is said of every tool of a server alike, because the server cannot be asked: the careful choice."""

    effect_type: str = "execute"
    risk_tier: str = "T2"
    principal: str = "*"
    methods: tuple[str, ...] = ()
    """What is passed beside tools."""


def declaration(connection: McpConnection, listing: Mapping[str, ListedTool], terms: Terms) -> str:
    """Return the part of a policy, in TOML, that declares a server with all that it lists."""
    blocks = ["\n".join(server_lines(connection))]
    blocks += ["\n".join(tool_lines(connection.name, tool, terms)) for tool in listing.values()]
    blocks += ["\n".join(method_lines(connection.name, method, terms)) for method in terms.methods]
    return "\n\n".join(blocks) + "\n"


def sort_out(listing: Mapping[str, ListedTool]) -> tuple[dict[str, ListedTool], dict[str, Invalid]]:
    """Return the tools that can be pinned, and for every other one why: its schema says what HELM cannot enforce."""
    good: dict[str, ListedTool] = {}
    bad: dict[str, Invalid] = {}
    for name, tool in listing.items():
        try:
            check_name(name, "name")
            if name in METHODS:
                raise Invalid("named like a method of MCP", name)
            Schema.compile(input_schema(tool), f"{name}.input")
            Schema.compile(output_schema(tool), f"{name}.output")
            good[name] = tool
        except Invalid as problem:
            bad[name] = problem
    return good, bad


def server_lines(connection: McpConnection) -> Iterator[str]:
    """Yield the lines of a server's table."""
    yield f"[connectors.{text(connection.name)}]"
    yield 'kind = "mcp"'
    if connection.permits:
        yield "permits = true"
    if connection.url:
        yield f"url = {text(connection.url)}"
        if connection.bearer:
            yield f"bearer = {text(connection.bearer)}"
        if connection.allow_private:
            yield "allow_private = true"
        return
    yield f"command = [{', '.join(text(word) for word in connection.command)}]"
    if connection.environment:
        yield f"environment = [{', '.join(text(name) for name in connection.environment)}]"


def tool_lines(server: str, tool: ListedTool, terms: Terms) -> Iterator[str]:
    """Yield the lines of a tool's table."""
    yield f"[tools.{text(f'{server}.{tool.name}')}]"
    yield f"connector = {text(server)}"
    yield f"operation = {text(tool.name)}"
    yield f"effect_type = {text(terms.effect_type)}"
    yield f"risk_tier = {text(terms.risk_tier)}"
    yield f"principals = [{text(terms.principal)}]"
    yield f"pin = {text(tool.pin)}"
    yield f"description = {text(tool.description)}"
    yield f"input = {text(json.dumps(input_schema(tool), ensure_ascii=False))}"
    yield f"output = {text(json.dumps(output_schema(tool), ensure_ascii=False))}"


def method_lines(server: str, method: str, terms: Terms) -> Iterator[str]:
    """Yield the lines of the table that passes a method: any params, any result, to be narrowed by hand."""
    yield f"[tools.{text(name_of(server, method))}]"
    yield f"connector = {text(server)}"
    yield f"operation = {text(method)}"
    yield f"effect_type = {text(terms.effect_type if method in OF_CLIENT else 'read')}"
    yield f"risk_tier = {text(terms.risk_tier)}"
    yield f"principals = [{text(terms.principal)}]"
    yield 'input = \'{"type": "object"}\''
    yield 'output = \'{"type": "object"}\''


def input_schema(tool: ListedTool) -> JSONValue:
    """Return what the arguments of a call must satisfy."""
    return adopted(reread(tool.input_schema))


def output_schema(tool: ListedTool) -> dict[str, Any]:
    """Return what a call's answer must satisfy: its content, and what the server promised of its structured content."""
    whole: dict[str, Any] = {"type": "object", "required": ["content"], "additionalProperties": False}
    parts: dict[str, Any] = {"content": {"type": "array", "items": {"type": "object"}}}
    inner = adopted(reread(tool.output_schema))
    if type(inner) is dict:
        if "$defs" in inner:
            whole["$defs"] = inner.pop("$defs")  # where its references lead: to the top of the document
        parts["structuredContent"] = inner
        whole["required"] = ["content", "structuredContent"]
    else:
        parts["structuredContent"] = {}
    return {**whole, "properties": parts}


def text(said: str) -> str:
    """Return a TOML basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(said, ensure_ascii=False).replace("\x7f", "\\u007f")


def check_free(place: Installation, server: str) -> None:
    """Raise Invalid where the policy has a connector of this name already."""
    known = read_policy(place.policy_path).connectors.get(server)
    if known is None:
        return
    hint = "give the server another name"
    if isinstance(known, McpConnection):
        hint = "to pin it anew, take its tables out of the policy first"
    raise Invalid(f"the policy has a connector called {server} already", str(place.policy_path), hint)


def declare(place: Installation, part: str, *, instead_of: re.Pattern[str] | None = None) -> SignedPolicy:
    """Append `part` to the installation's policy as its next epoch, signed. Raises Invalid, and then changes nothing.

    What `instead_of` finds makes way for it.

    What is declared can be called by nobody before an approver's key approves its server.
    """
    path = place.policy_path
    read_policy(path)
    before = path.read_text(encoding="utf-8")
    found = EPOCH.search(before)
    if found is None:
        raise Invalid("no line that says the epoch", str(path), "write epoch = 1 on a line of its own, at the top")
    epoch = int(found[1].replace("_", "")) + 1
    rest = before[found.end() :]
    if instead_of is not None:
        rest = instead_of.sub("", rest)
    after = f"{before[: found.start()]}epoch = {epoch}{rest.rstrip()}\n\n{part}"
    if len(after.encode()) > MAX_POLICY_BYTES:
        raise Invalid("the policy would be too large", str(path), "leave out what nobody needs")
    signed = sign_text(after, str(path), place.policy_key())
    signature_path(path).unlink(missing_ok=True)  # between the two writes nothing vouches for the file
    durable.replace(path, after.encode())
    write_signature(path, signed.signature)
    return signed


def connection_of(policy: Policy, server: str, path: Path) -> McpConnection:
    """Return a server of the policy. Raises Invalid where it has none of this name."""
    found = policy.connectors.get(server)
    if found is not None and not isinstance(found, McpConnection):
        what = f"the connector {server} of the policy is no MCP server"
        raise Invalid(what, str(path), "give the server another name")
    if not isinstance(found, McpConnection):
        named = [name for name, one in policy.connectors.items() if isinstance(one, McpConnection)]
        hint = f"there is {', '.join(named)}" if named else "`helm mcp pin` declares one"
        raise Invalid(f"the policy declares no MCP server {server!r}", str(path), hint)
    return found
