"""Plugging in: which connector stands behind each name that the policy declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from actors.connectors.client import ClientConnector
from actors.connectors.files import FilesConnector
from actors.connectors.http import HttpConnector
from actors.connectors.launch.connector import LaunchConnector
from actors.connectors.local import Function, LocalConnector
from actors.connectors.port import Connector
from actors.connectors.programs.connector import ProgramConnector
from actors.connectors.tunnel import TunnelConnector
from actors.connectors.wasm import WasmConnector
from actors.identity.pinned import check_identity
from actors.outside.provenance import check_provenance
from helm.contracts.errors import Invalid
from helm.guardian.connection import (
    ClientConnection,
    Connection,
    FilesConnection,
    HttpConnection,
    LaunchConnection,
    LocalConnection,
    McpConnection,
    ProgramConnection,
    TunnelConnection,
    WasmConnection,
)
from helm.guardian.lasting import denied_to
from helm.guardian.policy import Policy

MODULES = "modules"
"""Where the modules of guests lie in a data directory, each named by its hash."""

Given = Connector | Mapping[str, Function]
"""A connector, or the functions of one by tool name."""


def plug(policy: Policy | None, given: Mapping[str, Given], base: Path) -> dict[str, Connector]:
    """Return a connector for every name of the policy: those it describes, made here, and the given local ones.

    `base` is what a relative root is relative to. Raises Invalid for a local connector that nobody gave, and for a
    given one that the policy does not declare as local: what is not declared is not plugged in. Keys and roots by which
    the policy would know callers are tried here as well: they are plugged in too. Code of which the policy demands
    provenance is plugged in only with it.
    """
    if policy is None:
        return {}
    check_identity(policy)
    strangers = [name for name in given if not isinstance(policy.connectors.get(name), LocalConnection)]
    if strangers:
        hint = 'declare it in the policy: [connectors.NAME] kind = "local"'
        raise Invalid("the policy declares no local connector of this name", f"connector {strangers[0]}", hint)
    for connection in policy.connectors.values():
        check_provenance(connection, base)
    return {name: connector_of(connection, policy, given, base) for name, connection in policy.connectors.items()}


def connector_of(connection: Connection, policy: Policy, given: Mapping[str, Given], base: Path) -> Connector:
    """Return the connector that a policy describes. Raises Invalid."""
    match connection:
        case LocalConnection():
            return _given(given, connection.name)
        case HttpConnection():
            return HttpConnector(connection)
        case ClientConnection():
            return ClientConnector()
        case WasmConnection():
            return WasmConnector(connection, base / MODULES)
        case LaunchConnection():
            return LaunchConnector(connection)
        case ProgramConnection():
            return ProgramConnector(connection)
        case TunnelConnection():
            return TunnelConnector(connection, denied_to(policy, connection.name))
        case McpConnection():
            return mcp_connector(connection, policy)
        case FilesConnection():
            place = f"connectors.{connection.name}.root"
            return FilesConnector(base / connection.root, max_bytes=connection.max_bytes, place=place)


def _given(given: Mapping[str, Given], name: str) -> Connector:
    if name not in given:
        hint = "give its functions when the kernel is opened, or take it out of the policy"
        raise Invalid("nobody gave this local connector", f"connector {name}", hint)
    functions = given[name]
    return LocalConnector(functions) if isinstance(functions, Mapping) else functions


def mcp_connector(connection: McpConnection, policy: Policy | None) -> Connector:
    """Return the connector of one MCP server. The SDK is imported here: most installations have no such server."""
    from actors.connectors.mcp import McpConnector, pins_for

    return McpConnector(connection, pins_for(policy, connection.name) if policy is not None else {})
