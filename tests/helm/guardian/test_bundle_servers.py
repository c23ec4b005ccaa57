"""What a bundle may say of an MCP server: a program or an address, nothing secret, no network that is not declared."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.connection import McpConnection
from tests.helm.guardian.bundles import document

PIN = "sha256:" + "1" * 64
SERVED: dict[str, Any] = {
    "connector": "served",
    "operation": "sum",
    "effect_type": "read",
    "risk_tier": "T1",
    "principals": ["agent-1"],
    "input": {"type": "object"},
    "output": {"type": "object"},
    "pin": PIN,
}


def served(tool: dict[str, Any] | None = None, **server: Any) -> Any:
    """Compile a bundle with one MCP server in it, and one tool of it."""
    return compile_document(
        document(connectors={"served": {"kind": "mcp", **server}}, tools={"served.sum": SERVED | (tool or {})})
    )


def test_a_tool_at_an_address_goes_there_and_nowhere_else() -> None:
    policy = served(url="https://Tools.Example.com/mcp", bearer="TOOLS_TOKEN")
    connection, rule = policy.connectors["served"], policy.rule("served.sum")
    assert isinstance(connection, McpConnection)
    assert (connection.url, connection.bearer) == ("https://tools.example.com:443/mcp", "TOOLS_TOKEN")
    assert rule.destination.fixed == "https://tools.example.com:443"
    assert len(rule.allow_destinations) == 1


@pytest.mark.parametrize(
    ("server", "tool", "says"),
    [
        ({}, {}, "missing"),
        ({"command": ["a"], "url": "https://a.example"}, {}, "started and has an address"),
        ({"url": "https://a.example", "environment": ["TOKEN"]}, {}, "started and has an address"),
        ({"url": "https://a.example/mcp?key=s3cret"}, {}, "query"),
        ({"url": "https://user:s3cret@a.example/mcp"}, {}, "user information"),
        ({"url": "ftp://a.example/mcp"}, {}, "default port"),
        ({"url": "ws://a.example/mcp"}, {}, "not http"),
        ({"url": "a.example:80"}, {}, "not http"),
        ({"url": "http://a.example/mcp", "bearer": "TOKEN"}, {}, "in the clear"),
        ({"command": ["a"], "bearer": "TOKEN"}, {}, "bearer"),
        ({"url": "https://a.example"}, {"destination": {"fixed": "https://b.example"}}, "its connector to"),
    ],
    ids=str,
)
def test_a_server_that_cannot_be_held_to_its_word_is_refused(
    server: dict[str, Any], tool: dict[str, Any], says: str
) -> None:
    with pytest.raises(Invalid) as found:
        served(tool, **server)
    assert says in str(found.value)
