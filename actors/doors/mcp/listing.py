"""The tools of a policy as MCP lists them: those that a principal may call, under names that MCP allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.form import JSONValue
from helm.contracts.verdict import EffectType
from helm.crypto.canonical import canonical
from helm.crypto.hashing import sha256
from helm.guardian.methods import PIN as METHOD
from helm.guardian.policy import Policy, ToolRule

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""A tool's name as MCP allows it (revision 2025-11-25, tools)."""

STAND_IN: Final = "tool_"
"""How the name begins that stands for one that MCP does not allow; the hash of that one follows."""

OBJECT: Final = "object"


@attrs.frozen
class Listed:
    """How MCP describes one tool, in both eras."""

    legacy: bytes
    modern: bytes


@attrs.frozen
class Listing:
    """What one principal is shown under one policy. `tools` are by their names in MCP."""

    policy_hash: str
    said: int
    """How much had been said of servers by then."""
    tools: Mapping[str, Listed]
    legacy: bytes
    modern: bytes
    """The whole list, as a JSON array."""


@attrs.frozen
class Names:
    """The names of a policy's tools, by what MCP calls them: the same for everyone, as long as the policy is."""

    policy_hash: str
    tools: Mapping[str, str]


NO_NAMES: Final = Names("", MappingProxyType({}))


def names_of(policy: Policy, server_id: str = "") -> Names:
    """Return the names of all tools; of one server alone, by the server's own names."""
    rules = [rule for rule in policy.tools.values() if rule.pin != METHOD]
    if server_id:
        tools = {rule.operation or rule.name: rule.name for rule in rules if rule.connector == server_id}
    else:
        tools = {mcp_name(rule.name): rule.name for rule in rules}
    return Names(policy.policy_hash, MappingProxyType(tools))


Barring = Callable[[ToolRule], str]
"""Why a tool's connector may not serve it now, "" where it may."""


def list_tools(policy: Policy, principal: str, barring: Barring, said: int, server_id: str = "") -> Listing:
    """Return what `principal` may call under `policy`; of one server alone, under the server's own names."""
    rules = [rule for rule in shown(policy, principal) if not barring(rule)]
    if server_id:
        tools = {rule.operation or rule.name: rule for rule in rules if rule.connector == server_id}
    else:
        tools = {mcp_name(rule.name): rule for rule in rules}
    return listing_of({name: listed(rule, name) for name, rule in tools.items()}, policy, said)


def listing_of(tools: Mapping[str, Listed], policy: Policy, said: int) -> Listing:
    """Return described tools as a listing."""
    return Listing(
        policy_hash=policy.policy_hash,
        said=said,
        tools=MappingProxyType(tools),
        legacy=b"[" + b",".join(tool.legacy for tool in tools.values()) + b"]",
        modern=b"[" + b",".join(tool.modern for tool in tools.values()) + b"]",
    )


def shown(policy: Policy, principal: str) -> Iterator[ToolRule]:
    """Yield the rules of the tools that are worth a call: everything else would be refused whatever the arguments."""
    for name in sorted(policy.tools):
        rule = policy.tools[name]
        if rule.pin != METHOD and rule.admits(principal) and not policy.p0.forbids(rule) and takes_an_object(rule):
            yield rule


def takes_an_object(rule: ToolRule) -> bool:
    """Tell whether a tool can be called through MCP at all: its arguments are an object, always."""
    document = rule.input_schema.document
    kind = document.get("type", OBJECT) if type(document) is dict else OBJECT
    return kind == OBJECT or (type(kind) is list and OBJECT in kind)


def mcp_name(tool: str) -> str:
    """Return the name of a tool in MCP: its own where that is allowed, else one made from its hash."""
    return tool if NAME.fullmatch(tool) else STAND_IN + sha256(tool.encode())[7:39]


def listed(rule: ToolRule, name: str) -> Listed:
    """Return how a tool is described. The schemas are the pinned ones: what is listed is what is enforced."""
    inputs, outputs = rule.input_schema.document, promised(rule)
    members: dict[str, JSONValue] = {
        "annotations": hints(rule),
        "inputSchema": {**(inputs if type(inputs) is dict else {}), "type": OBJECT},
        "name": name,
    }
    title = rule.operation if rule.pin else rule.name
    if name != title:
        members["title"] = title
    if rule.description:
        members["description"] = rule.description
    modern = members | ({"outputSchema": outputs} if type(outputs) is dict and outputs else {})
    legacy = modern if type(outputs) is dict and outputs.get("type") == OBJECT else members
    return Listed(canonical(legacy), canonical(modern))


def promised(rule: ToolRule) -> JSONValue:
    """Return what a tool's structured content satisfies; of an MCP server's answer, that is one part."""
    document = rule.output_schema.document
    if not rule.pin or type(document) is not dict:
        return document
    inner = document.get("properties", {}).get("structuredContent", {})
    return {**inner, "$defs": document["$defs"]} if inner and "$defs" in document else inner


def hints(rule: ToolRule) -> dict[str, JSONValue]:
    """Return what the policy knows of a tool's effect, as hints."""
    reads = rule.effect_type == EffectType.READ
    return {
        "destructiveHint": rule.irreversible or not reads,
        "openWorldHint": rule.destination is not None,
        "readOnlyHint": reads,
    }
