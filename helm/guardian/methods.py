"""What MCP has beside tools: each method is governed as a call of a tool that is named after it, or refused.

A policy declares such a tool as SERVER/METHOD with the method as its operation, and the params are its arguments. So
default deny, schemas, requirements, approvals, budgets and receipts hold for it with no rules of its own.
"""

from __future__ import annotations

OF_SERVER = frozenset(
    {
        "completion/complete",
        "logging/setLevel",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/templates/list",
    }
)
"""What a client asks of a server."""

OF_CLIENT = frozenset({"elicitation/create", "roots/list", "sampling/createMessage"})
"""What a server asks of its client, while it executes a call."""

METHODS = OF_SERVER | OF_CLIENT

PIN = "method"
"""In the place of a pin: a method is defined by the protocol, and nothing that a server says changes it."""


def name_of(server_id: str, method: str) -> str:
    """Return the name of the tool that stands for a method of a server."""
    return f"{server_id}/{method}"
