"""The server that MCP's conformance suite asks for, as far as tools go, on the official SDK: HELM stands before it."""

from __future__ import annotations

from typing import Any, Final

import trio
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    AudioContent,
    CallToolRequestParams,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ListToolsResult,
    TextContent,
    TextResourceContents,
    Tool,
)

PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

TEXT: Final = TextContent(text="This is a simple text response for testing.")
IMAGE: Final = ImageContent(data=PIXEL, mime_type="image/png")
AUDIO: Final = AudioContent(data=SILENCE, mime_type="audio/wav")
RESOURCE: Final = EmbeddedResource(
    resource=TextResourceContents(
        uri="test://embedded-resource", mime_type="text/plain", text="This is an embedded resource content."
    )
)

ANSWERS: Final[dict[str, CallToolResult]] = {
    "test_simple_text": CallToolResult(content=[TEXT]),
    "test_image_content": CallToolResult(content=[IMAGE]),
    "test_audio_content": CallToolResult(content=[AUDIO]),
    "test_embedded_resource": CallToolResult(content=[RESOURCE]),
    "test_multiple_content_types": CallToolResult(
        content=[
            TextContent(text="Multiple content types test:"),
            IMAGE,
            EmbeddedResource(
                resource=TextResourceContents(
                    uri="test://mixed-content-resource",
                    mime_type="application/json",
                    text='{"test":"data","value":123}',
                )
            ),
        ]
    ),
    "test_error_handling": CallToolResult(
        content=[TextContent(text="This tool intentionally returns an error for testing")], is_error=True
    ),
    "json_schema_2020_12_tool": CallToolResult(content=[TEXT]),
}

PLAIN: Final[dict[str, Any]] = {"type": "object", "properties": {}}
SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}


async def list_tools(_: Any, __: Any) -> ListToolsResult:
    """List every tool."""
    schemas = {"json_schema_2020_12_tool": SCHEMA}
    tools = [Tool(name=name, description=f"{name}.", input_schema=schemas.get(name, PLAIN)) for name in ANSWERS]
    return ListToolsResult(tools=tools)


async def call_tool(_: Any, params: CallToolRequestParams) -> CallToolResult:
    """Answer as the suite expects it."""
    return ANSWERS[params.name]


async def main() -> None:
    """Serve until the client closes its side."""
    server: Server[Any] = Server("everything", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    trio.run(main)
