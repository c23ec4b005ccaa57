"""What a policy must say of a tool that a model asks for, and of an island."""

from __future__ import annotations

from typing import Final

from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.guardian.connection import ConnectorKind, HttpConnection, ProgramConnection
from helm.guardian.policy import UNDECLARED, Policy

AT_HOME: Final = frozenset({ConnectorKind.LOCAL, ConnectorKind.FILES, ConnectorKind.WASM, ConnectorKind.CLIENT})
"""Kinds of connector that leave no island by themselves."""


def fault_of(policy: Policy, tool: str) -> ReasonCode:
    """Return the code under which no client is handed a call of this tool, NONE where the policy may allow it.

    A tool that HELM executes itself is none of the client's: it would be executed twice, once out of sight.
    """
    rule = policy.rule(tool)
    if rule is UNDECLARED:
        return ReasonCode.NONE  # the guardian says so in its own words
    connection = policy.connectors.get(rule.connector)
    is_clients = connection is not None and connection.kind is ConnectorKind.CLIENT
    return ReasonCode.NONE if is_clients else ReasonCode.NO_POLICY_DEFINED


def check_island(policy: Policy, upstream: str) -> None:
    """Raise Invalid for a policy under which anything reaches another host than the upstream's origin."""
    for name, connection in policy.connectors.items():
        is_confined = isinstance(connection, ProgramConnection) and not connection.grant.network
        if (
            connection.kind in AT_HOME
            or is_confined
            or (isinstance(connection, HttpConnection) and connection.origin == upstream)
        ):
            continue
        hint = "take the connector out of the policy, or leave island mode"
        raise Invalid("island mode: it reaches another host than the upstream", f"connectors.{name}", hint)
