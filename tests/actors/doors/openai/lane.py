"""A lane for OpenAI clients: the official client, the proxy, and an upstream that plays what a test scripts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import attrs
import openai
import trio

from actors.connectors.client import ClientConnector
from actors.connectors.port import Connector
from actors.doors.openai.door import OpenAiDoor
from actors.doors.openai.proxy import Proxy, proxy_of
from actors.doors.serve import Door, Front, serve
from actors.kernel import Kernel
from actors.keys.bearer import BearerKeys
from actors.opening import Ground
from helm.config import Config
from tests.actors.connectors.server import Server, ok
from tests.actors.doors.street import Street, issue_keys
from tests.actors.kit import House
from tests.actors.puppet import Puppet

T = TypeVar("T")

UPSTREAM_KEY = "sk-upstream-secret"
ENVIRONMENT = {"OPENAI_API_KEY": UPSTREAM_KEY}

CITY = """{
  "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false
}"""

POLICY = f"""
version = "helm.policy/1"
scope = "test"
epoch = 1

[[budgets]]
id = "few"
subject = "tool:limited"
tool_call_limit = 2
window_s = 3600

[connectors.client]
kind = "client"

[connectors.local]
kind = "local"

[tools.get_weather]
connector = "client"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
input = '''{CITY}'''
output = '{{}}'

[tools.limited]
connector = "client"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
input = '{{}}'
output = '{{}}'

[tools.asking]
connector = "client"
effect_type = "payment"
risk_tier = "T1"
principals = ["*"]
approval = {{ required = true, expires_s = 600 }}
input = '{{}}'
output = '{{}}'

[tools.helms_own]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
input = '{{}}'
output = '{{}}'
"""

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
WEATHER = {"city": "Oslo"}


def call(name: str, arguments: Any = None, call_id: str = "call_1") -> dict[str, Any]:
    """Return one tool call as a model words it; arguments that are no string are left as they are."""
    given = json.dumps(WEATHER) if arguments is None else arguments
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": given}}


def completion(*calls: dict[str, Any], content: str | None = None, **message: Any) -> dict[str, Any]:
    """Return a whole answer of chat completions."""
    said = {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {}), **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-test",
        "choices": [{"index": 0, "message": said, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": USAGE,
    }


def answered(document: Any, *headers: bytes) -> bytes:
    """Return a JSON answer as an upstream sends it."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ok(raw, b"Content-Type: application/json", *headers)


def streamed(*events: Any, end: bytes = b"data: [DONE]\n\n", name_them: bool = False) -> bytes:
    """Return a whole stream as an upstream sends it."""
    told = [
        (f"event: {event['type']}\n" if name_them else "").encode() + b"data: " + json.dumps(event).encode() + b"\n\n"
        for event in events
    ]
    return ok(b"".join(told) + end, b"Content-Type: text/event-stream")


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    """Return one chunk of a streamed chat completion."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test", "choices": [choice]}


def fragment(
    index: int = 0, arguments: Any = None, name: str | None = None, call_id: str | None = None
) -> dict[str, Any]:
    """Return the delta of one fragment of a tool call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    given = {"index": index, "function": function} | ({"id": call_id, "type": "function"} if call_id else {})
    return {"tool_calls": [given]}


def split_call(name: str, arguments: str, call_id: str = "call_1", index: int = 0) -> list[dict[str, Any]]:
    """Return the chunks of one tool call, its arguments letter by letter."""
    letters = [chunk(fragment(index, letter)) for letter in arguments]
    return [chunk(fragment(index, "", name, call_id)), *letters]


@attrs.define(eq=False)
class Lane:
    """An open proxy before a scripted upstream."""

    street: Street
    upstream: Server
    proxy: Proxy

    @property
    def kernel(self) -> Kernel:
        return self.street.kernel

    @property
    def door(self) -> OpenAiDoor:
        """The proxy's door behind the address."""
        front = self.street.door.service.app
        assert isinstance(front, Front)
        door = front.paths["/v1/models"]
        assert isinstance(door, OpenAiDoor)
        return door

    @property
    def base_url(self) -> str:
        return self.street.address.url + "/v1"

    def plays(self, answer: bytes) -> None:
        """Have the upstream answer with these bytes from now on."""
        self.upstream.answer = answer

    async def client(self, work: Callable[[openai.OpenAI], T], *, key: str | None = None, **headers: str) -> T:
        """Have the official client do some work, in a thread."""

        def in_thread() -> T:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            given = openai.DefaultHttpxClient(trust_env=False)
            with openai.OpenAI(
                base_url=self.base_url,
                api_key=key or self.street.agent,
                max_retries=0,
                timeout=20,
                default_headers=named,
                http_client=given,
            ) as client:
                return work(client)

        return await trio.to_thread.run_sync(in_thread)

    async def chat(self, messages: Sequence[Any] = (), **more: Any) -> Any:
        """Ask for one chat completion in one piece."""
        return await self.client(partial(ask_chat, messages=messages), **more)

    async def chat_stream(self, messages: Sequence[Any] = (), **more: Any) -> list[Any]:
        """Ask for one chat completion as a stream."""
        return await self.client(partial(stream_chat, messages=messages), **more)

    async def refused(self, path: str = "/chat/completions", **body: Any) -> Any:
        """Ask without the client; return the reply, which is an error."""
        given = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}], **body}
        reply = await self.street.ask("POST", "/v1" + path, given)
        assert reply.status >= 400, reply.body
        return reply

    async def receipts(self, **wanted: str) -> list[dict[str, Any]]:
        """Return the receipts in the journal, oldest first."""
        entries = await self.kernel.library.entries()
        found = [entry["beside"]["receipt"] for _, entry in entries if "receipt" in entry["beside"]]
        return [one for one in found if all(one[name] == value for name, value in wanted.items())]

    async def record_of(self, receipt_id: str) -> dict[str, Any]:
        """Return the boundary record of a receipt."""
        story = await self.kernel.library.story(receipt_id)
        assert story is not None
        record: dict[str, Any] = story["record"]
        return record


def ask_chat(client: openai.OpenAI, messages: Sequence[Any]) -> Any:
    given: Any = list(messages) or [{"role": "user", "content": "hi"}]
    return client.chat.completions.with_raw_response.create(model="gpt-test", messages=given)


def stream_chat(client: openai.OpenAI, messages: Sequence[Any]) -> list[Any]:
    given: Any = list(messages) or [{"role": "user", "content": "hi"}]
    return list(client.chat.completions.create(model="gpt-test", messages=given, stream=True))


def result_of(call_id: str, name: str = "get_weather") -> list[dict[str, Any]]:
    """Return a conversation that brings the result of a tool call."""
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call(name, call_id=call_id)]},
        {"role": "tool", "tool_call_id": call_id, "content": "sunny"},
    ]


@asynccontextmanager
async def open_lane(
    house: House,
    answer: bytes = b"",
    *,
    policy: str = POLICY,
    ground: Ground | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
    **settings: Any,
) -> AsyncIterator[Lane]:
    """Run an upstream, a kernel and its door with the proxy."""
    async with trio.open_nursery() as nursery:
        upstream = await Server(answer).start(nursery)
        url = f"http://127.0.0.1:{upstream.port}/v1"
        config = Config(port=0, grace_s=2.0, proxy_upstream=url, **settings)
        proxy = proxy_of(config, house.path, environment)
        assert proxy is not None
        keys, plain = issue_keys(house.path)
        async with open_door(house, policy, config, keys, proxy, ground) as (kernel, door):
            yield Lane(Street(kernel, door, *plain), upstream, proxy)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_door(
    house: House, policy: str, config: Config, keys: BearerKeys, proxy: Proxy, ground: Ground | None
) -> AsyncIterator[tuple[Kernel, Door]]:
    connectors: dict[str, Connector] = {"client": ClientConnector(), "local": Puppet()}
    async with house.kernel(connectors, policy=policy, ground=ground) as kernel:
        door = await kernel.nursery.start(partial(serve, kernel, config, keys, proxy=proxy))
        yield kernel, door
