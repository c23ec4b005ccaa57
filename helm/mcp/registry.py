"""The registry of MCP servers, as people and programs read it: the policy, and what approvers said of it."""

from __future__ import annotations

from collections.abc import Mapping

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.connection import McpConnection
from helm.guardian.policy import Policy
from helm.guardian.servers import APPROVE, REVOKE, ServerCommand, Servers


def registry(policy: Policy, servers: Servers, log_id: str, now_ms: int) -> dict[str, JSONValue]:
    """Return every server of the policy, or that something was said of, and the sequence of what was said."""
    names = sorted(servers_of(policy).keys() | servers.said.keys())
    rows = [record(name, policy, servers, now_ms) for name in names]
    return {"log_id": log_id, "sequence": servers.sequence, "servers": rows}


def servers_of(policy: Policy) -> dict[str, McpConnection]:
    """Return the MCP servers of a policy."""
    return {name: one for name, one in policy.connectors.items() if isinstance(one, McpConnection)}


def record(server_id: str, policy: Policy, servers: Servers, now_ms: int) -> dict[str, JSONValue]:
    """Return one server. Times are 0 for what did not happen; `pins_hash` is what an approval must name."""
    connection, said = servers_of(policy).get(server_id), servers.said.get(server_id)
    rules = [rule for rule in policy.tools.values() if rule.pin and rule.connector == server_id]
    pins = policy.server_pins.get(server_id, "")
    state = servers.state(server_id, pins, now_ms) if pins or said else "discovered"
    tools = sorted(rule.operation or rule.name for rule in rules)
    approval = said if said is not None and said.action == APPROVE else None
    revocation = said if said is not None and said.action == REVOKE else None
    open_ = state == "approved"
    return {
        "approved_at_ms": approval.issued_at_ms if approval else 0,
        "approved_by": approval.key_id if approval else "",
        "approved_effects": sorted({rule.effect_type for rule in rules}) if open_ else [],
        "approved_tool_names": tools if open_ else [],
        "declared": connection is not None,
        "drifted": sorted(servers.drifted.get(server_id, {})),
        "endpoint": "" if connection is None else connection.url or " ".join(connection.command),
        "expires_at_ms": said.expires_at_ms if said else 0,
        "name": server_id,
        "pins_hash": pins,
        "reason": said.reason if said else "",
        "revoked_at_ms": revocation.issued_at_ms if revocation else 0,
        "risk": max((rule.risk_tier for rule in rules), default=""),
        "server_id": server_id,
        "state": state,
        "tool_names": tools,
        "transport": "" if connection is None else "streamable-http" if connection.url else "stdio",
    }


def pins_of(name: str, policy: Policy, servers: Servers, halted: Mapping[str, str]) -> dict[str, JSONValue]:
    """Return a server's pins as the policy has them, and as it listed its tools last; "" for one that is gone."""
    drifted = servers.drifted.get(name, {})
    rules = {rule.operation or rule.name: rule.pin for rule in policy.tools.values() if rule.connector == name}
    return {
        "halted": halted.get(name, ""),
        "name": name,
        "pins": [
            {
                "drifted": operation in drifted,
                "listed": drifted.get(operation, pin),
                "operation": operation,
                "pinned": pin,
            }
            for operation, pin in sorted(rules.items())
        ],
        "pins_hash": policy.server_pins.get(name, ""),
        "policy_epoch": policy.epoch,
    }


def tool_named(policy: Policy, server_id: str, tool: str) -> str:
    """Return the policy's name of a server's tool; of "", the tool itself. What is not declared keeps its own name."""
    if not server_id:
        return tool
    for rule in policy.tools.values():
        if rule.pin and rule.connector == server_id and (rule.operation or rule.name) == tool:
            return rule.name
    return f"{server_id}.{tool}"


def check_current(command: ServerCommand, policy: Policy) -> None:
    """Raise Invalid for an approval of a server, or of tools, that the policy does not have now."""
    if command.action != APPROVE:
        return
    pins = policy.server_pins.get(command.server_id, "")
    if command.pins_hash != pins:
        hint = "read the registry, look at the tools, and sign again"
        raise Invalid(f"the policy pins {pins or 'nothing'} for {command.server_id}", "server command", hint)
