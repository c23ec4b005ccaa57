"""What of MCP beside tools passes the door of one server: methods that the policy declares, each a governed call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from actors.doors.mcp import wire
from actors.doors.mcp.result import evidence, refusal
from actors.doors.mcp.wire import Fault
from actors.mailbox import Answer
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Verdict
from helm.guardian.methods import name_of
from helm.guardian.policy import Policy, ToolRule

CAPABILITY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "completion/complete": "completions",
        "logging/setLevel": "logging",
        "prompts/get": "prompts",
        "prompts/list": "prompts",
        "resources/list": "resources",
        "resources/read": "resources",
        "resources/templates/list": "resources",
    }
)
"""What a server says that it can do, which serves a method."""

CACHEABLE: Final = frozenset({"prompts/list", "resources/list", "resources/read", "resources/templates/list"})

NOT_FOUND: Final = re.compile(r"the server answered (?:-32602|-32002): ")
"""How a failure begins that says: there is no such thing. Clients know it by its code."""

REFUSED: Final = -32003
FAILED: Final = -32004
"""Of JSON-RPC's codes for servers, the part that MCP leaves to implementations: no, and it did not work."""


def capabilities(
    policy: Policy, server_id: str, principal: str, barring: Callable[[ToolRule], str]
) -> dict[str, JSONValue]:
    """Return what a principal may use of a server beside its tools, as a server says it."""
    rules = {method: policy.rule(name_of(server_id, method)) for method in CAPABILITY}
    return {CAPABILITY[method]: {} for method, rule in rules.items() if rule.admits(principal) and not barring(rule)}


def passed(method: str, answer: Answer, *, modern: bool) -> dict[str, JSONValue]:
    """Return the result of a method, with the evidence of its call. Raises Fault where there is none."""
    if not answer.allowed:
        raise Fault(code_of(answer), f"{method}: {refusal(answer)}", evidence(answer))
    output = answer.output
    result = {**(output if type(output) is dict else {}), "_meta": evidence(answer)}
    if modern:
        result["resultType"] = "complete"
    if modern and method in CACHEABLE:
        result |= {"cacheScope": "private", "ttlMs": 0}
    return result


def code_of(answer: Answer) -> int:
    """Return JSON-RPC's code for an answer without a result."""
    if answer.reason_code is ReasonCode.NO_POLICY_DEFINED:
        return wire.METHOD_NOT_FOUND
    if answer.verdict is not Verdict.ALLOW:
        return REFUSED
    return wire.INVALID_PARAMS if NOT_FOUND.match(answer.reason) else FAILED
