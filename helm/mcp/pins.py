"""Pins: the hash of everything a server says of a tool, so that nothing of it changes unseen (T3)."""

from __future__ import annotations

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue, Noun
from helm.crypto import domains
from helm.crypto.canonical import canonical, fragment, record_bytes
from helm.crypto.hashing import hash_in

MAX_TOOLS = 1024
"""Tools of one server (T4)."""

MAX_TOOL_BYTES = 256 * 1024
"""Bytes of what a server says of one tool (T4)."""


class ListedTool(Noun, frozen=True, kw_only=True):
    """One tool as a server lists it. The schemas are canonical bytes; b"null" where there is no output schema."""

    description: str
    input_schema: bytes
    name: str
    output_schema: bytes

    @property
    def pin(self) -> str:
        """Return the hash of all of it."""
        return hash_in(
            domains.MCP_TOOL,
            record_bytes(
                {
                    "description": self.description,
                    "input": fragment(self.input_schema),
                    "name": self.name,
                    "output": fragment(self.output_schema),
                }
            ),
        )


def listed_tool(body: JSONValue, where: str) -> ListedTool:
    """Return one tool of a listing. Raises Invalid."""
    if type(body) is not dict or type(body.get("name")) is not str or type(body.get("inputSchema")) is not dict:
        raise Invalid("a tool without a name or without an input schema", where, "the server does not speak MCP")
    description = body.get("description")
    if description is not None and type(description) is not str:
        raise Invalid("a description that is no text", where)
    try:
        tool = ListedTool(
            description=description or "",
            input_schema=canonical(body["inputSchema"], max_bytes=MAX_TOOL_BYTES),
            name=body["name"],
            output_schema=canonical(body.get("outputSchema"), max_bytes=MAX_TOOL_BYTES),
        )
        canonical([tool.description, tool.name], max_bytes=MAX_TOOL_BYTES)
    except Malformed as problem:
        raise Invalid(f"{body['name']!r}: {problem}", where) from problem
    return tool


def listing_of(tools: JSONValue, where: str) -> dict[str, ListedTool]:
    """Return a whole listing by name. Raises Invalid, also for a name that stands twice: which one would be called?"""
    if type(tools) is not list or len(tools) > MAX_TOOLS:
        raise Invalid(f"not a list of at most {MAX_TOOLS} tools", where)
    listing: dict[str, ListedTool] = {}
    for body in tools:
        tool = listed_tool(body, where)
        if tool.name in listing:
            raise Invalid(f"lists {tool.name!r} twice", where, "the second one would shadow the first")
        listing[tool.name] = tool
    return listing
