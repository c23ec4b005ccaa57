"""The server that MCP's conformance suite asks for, as far as HELM passes it, on the official SDK."""

from __future__ import annotations

from typing import Any, Final

import trio
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    AudioContent,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    CompleteResult,
    Completion,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
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
    "test_tool_with_progress": CallToolResult(content=[TEXT]),
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


async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
    """Answer as the suite expects it."""
    if params.name == "test_tool_with_progress":
        for step in (0, 50, 100):
            await context.session.report_progress(step, 100, f"{step} of 100")
            await trio.sleep(0.1)  # each of them is to be seen
    return ANSWERS[params.name]


TEMPLATE: Final = "test://template/{id}/data"
STATIC: Final[dict[str, TextResourceContents | BlobResourceContents]] = {
    "test://static-text": TextResourceContents(
        uri="test://static-text", mime_type="text/plain", text="This is the content of the static text resource."
    ),
    "test://static-binary": BlobResourceContents(uri="test://static-binary", mime_type="image/png", blob=PIXEL),
}

PROMPTS: Final = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
}


async def list_resources(_: Any, __: Any) -> ListResourcesResult:
    """List what stands still."""
    return ListResourcesResult(
        resources=[Resource(uri=uri, name=uri, mime_type=one.mime_type) for uri, one in STATIC.items()]
    )


async def list_templates(_: Any, __: Any) -> ListResourceTemplatesResult:
    """List what is made on demand."""
    return ListResourceTemplatesResult(resource_templates=[ResourceTemplate(uri_template=TEMPLATE, name="template")])


async def read_resource(_: Any, params: ReadResourceRequestParams) -> ReadResourceResult:
    """Return a resource, or say that there is none."""
    uri = str(params.uri)
    if uri in STATIC:
        return ReadResourceResult(contents=[STATIC[uri]])
    before, _, behind = TEMPLATE.partition("{id}")
    if not (uri.startswith(before) and uri.endswith(behind)):
        raise MCPError(INVALID_PARAMS, "Resource not found")
    name = uri.removeprefix(before).removesuffix(behind)
    text = f'{{"id":"{name}","templateTest":true,"data":"Data for ID: {name}"}}'
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type="application/json", text=text)])


async def list_prompts(_: Any, __: Any) -> ListPromptsResult:
    """List every prompt."""
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=name,
                description=f"{name}.",
                arguments=[PromptArgument(name=one, description=one, required=True) for one in arguments],
            )
            for name, arguments in PROMPTS.items()
        ]
    )


async def get_prompt(_: Any, params: GetPromptRequestParams) -> GetPromptResult:
    """Return a prompt as the suite expects it."""
    text = TextContent(text=f"{params.name}: {params.arguments or {}}")
    contents: list[Any] = [text]
    if params.name == "test_prompt_with_image":
        contents = [IMAGE, text]
    if params.name == "test_prompt_with_embedded_resource":
        contents = [RESOURCE, text]
    return GetPromptResult(messages=[PromptMessage(role="user", content=one) for one in contents])


async def complete(_: Any, __: Any) -> CompleteResult:
    """Complete anything with nothing."""
    return CompleteResult(completion=Completion(values=[], total=0, has_more=False))


async def main() -> None:
    """Serve until the client closes its side."""
    server: Server[Any] = Server(
        "everything",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    trio.run(main)
