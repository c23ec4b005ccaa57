"""A server on the official SDK that has more than tools, and asks its client for things, in either era."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import trio
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    METHOD_NOT_FOUND,
    CallToolRequestParams,
    CallToolResult,
    CompleteResult,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ErrorData,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    JSONRPCError,
    ListPromptsResult,
    ListResourcesResult,
    ListRootsRequest,
    ListToolsResult,
    Prompt,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    Tool,
)

LEGACY = "legacy" in sys.argv

ANY: dict[str, Any] = {"type": "object"}
NAMES = ("ask", "think", "where", "slowly", "forever")
FORM: dict[str, Any] = {"type": "object", "properties": {"colour": {"type": "string"}}}
QUESTIONS: dict[str, Any] = {
    "ask": ElicitRequest(params=ElicitRequestFormParams(message="Which colour?", requested_schema=FORM)),
    "think": CreateMessageRequest(
        params=CreateMessageRequestParams(
            messages=[SamplingMessage(role="user", content=TextContent(text="Think."))], max_tokens=9
        )
    ),
    "where": ListRootsRequest(),
}


def said(text: str) -> CallToolResult:
    """Return a text as a result."""
    return CallToolResult(content=[TextContent(text=text)])


async def tools(_: Any, __: Any) -> ListToolsResult:
    """List every tool."""
    return ListToolsResult(tools=[Tool(name=name, input_schema=ANY) for name in NAMES])


async def call(context: Any, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    """Answer, ask, take some time, or for ever."""
    arguments = params.arguments or {}
    if params.name in QUESTIONS:
        return await ask(context, params, modern=not LEGACY)
    if params.name == "slowly":
        for step in (1, 2):
            await context.session.report_progress(step, 2, f"step {step}")
        await context.session.send_log_message("info", "half way", related_request_id=context.request_id)
        return said("done")
    await trio.Path(arguments["began"]).touch()
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.Path(arguments["ended"]).touch()
    raise AssertionError


async def ask(context: Any, params: CallToolRequestParams, *, modern: bool) -> CallToolResult | InputRequiredResult:
    """Ask the client, as the era has it."""
    if modern:
        if not params.input_responses:
            return InputRequiredResult(input_requests={"q": QUESTIONS[params.name]}, request_state="s")
        return said(params.input_responses["q"].model_dump_json())
    if params.name == "ask":
        return said((await context.session.elicit_form("Which colour?", FORM)).model_dump_json())
    if params.name == "think":
        question = QUESTIONS["think"].params
        return said((await context.session.create_message(question.messages, max_tokens=9)).model_dump_json())
    return said((await context.session.list_roots()).model_dump_json())


async def resources(_: Any, __: Any) -> ListResourcesResult:
    """List one."""
    return ListResourcesResult(resources=[Resource(uri="note://one", name="one")])


async def read(_: Any, params: ReadResourceRequestParams) -> ReadResourceResult:
    """Read any."""
    return ReadResourceResult(contents=[TextResourceContents(uri=params.uri, text=f"read {params.uri}")])


async def prompts(_: Any, __: Any) -> ListPromptsResult:
    """List one."""
    return ListPromptsResult(prompts=[Prompt(name="greet")])


async def prompt(_: Any, params: GetPromptRequestParams) -> GetPromptResult:
    """Return it."""
    if params.name != "greet":
        raise MCPError(-32602, "no such prompt")
    return GetPromptResult(messages=[PromptMessage(role="user", content=TextContent(text="Hello."))])


async def complete(_: Any, __: Any) -> CompleteResult:
    """Return two."""
    return CompleteResult(completion=Completion(values=["red", "green"]))


async def older(read: Any, write: Any, onward: Any) -> None:
    """Answer as a server does that knows no newer revision."""
    async with onward:
        async for item in read:
            if getattr(item.message, "method", "") == "server/discover":
                error = ErrorData(code=METHOD_NOT_FOUND, message="Method not found")
                await write.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=item.message.id, error=error)))
            else:
                await onward.send(item)


async def main() -> None:
    """Serve until the client closes its side."""
    server: Server[Any] = Server(
        "rich",
        on_list_tools=tools,
        on_call_tool=call,
        on_list_resources=resources,
        on_read_resource=read,
        on_list_prompts=prompts,
        on_get_prompt=prompt,
        on_completion=complete,
    )
    async with stdio_server() as (incoming, outgoing), trio.open_nursery() as nursery:
        onward, kept = anyio.create_memory_object_stream[Any](0)
        if LEGACY:
            nursery.start_soon(older, incoming, outgoing, onward)
        await server.run(kept if LEGACY else incoming, outgoing, server.create_initialization_options())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
