"""What the proxy adds to an answer with one tool call: judged, durable, and only then told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import trio

from actors.doors.openai.proxy import proxy_of
from actors.doors.serve import serve
from actors.founding import found_installation
from actors.installation import Installation
from actors.opening import open_kernel
from actors.policy_file import sign_text
from actors.process.clock import SystemClock
from bench.figure import Figure
from helm.config import Config

POLICY = """
version = "helm.policy/1"
scope = "bench"
epoch = 1

[connectors.client]
kind = "client"

[tools.get_weather]
connector = "client"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
input = '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'
output = '{}'
"""

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-test","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":null,"tool_calls":[{"id":"call_%010d","type":"function","function":{"name":'
    b'"get_weather","arguments":"{\\"city\\":\\"Oslo\\"}"}}]},"finish_reason":"tool_calls"}],"usage":'
    b'{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}'
)
ASKED = b'{"model":"gpt-test","messages":[{"role":"user","content":"What is the weather in Oslo?"}]}'
EXCHANGES = 100
"""Of one run, each way; they take turns, so that a busy neighbour slows both alike."""

TARGET_MS = 1.5


async def play(numbers: count[int], stream: trio.SocketStream) -> None:
    """Answer every request of a connection at once, each with a tool call of its own."""
    while await read_message(stream):
        body = ANSWER % next(numbers)
        heading = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        await stream.send_all(heading + body)


async def read_message(stream: trio.SocketStream) -> bytes:
    """Return one HTTP message with a content-length, b"" at the end."""
    said = b""
    while b"\r\n\r\n" not in said:
        piece = bytes(await stream.receive_some(65_536))
        if not piece:
            return b""
        said += piece
    heading, _, body = said.partition(b"\r\n\r\n")
    length = int(heading.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += bytes(await stream.receive_some(65_536))
    return heading + body


def request(port: int, key: str) -> bytes:
    """Return the bytes of one request."""
    heading = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(ASKED)}\r\n\r\n"
    )
    return heading.encode() + ASKED


@asynccontextmanager
async def proxy_to_measure() -> AsyncIterator[tuple[int, int, str]]:
    """Run an upstream and a proxy before it; yield their ports and the client's key."""
    with TemporaryDirectory(prefix="helm-bench-") as directory:
        path = Path(directory) / "data"
        key = found_installation(path, clock=SystemClock()).tenant
        place = Installation.open(path)
        async with trio.open_nursery() as nursery:
            upstream = partial(trio.serve_tcp, partial(play, count()), 0, host="127.0.0.1")
            port = (await nursery.start(upstream))[0].socket.getsockname()[1]
            config = Config(port=0, proxy_upstream=f"http://127.0.0.1:{port}", proxy_key_env="")
            async with open_kernel(place, policy=sign_text(POLICY, "bench", place.policy_key())) as kernel:
                proxy = proxy_of(config, path, {})
                door = await kernel.nursery.start(partial(serve, kernel, config, place.bearer_keys(), proxy=proxy))
                yield port, door.address.port, key
            nursery.cancel_scope.cancel()


async def timed_ms(stream: trio.SocketStream, asked: bytes) -> float:
    """Return how long one exchange took."""
    start = time.perf_counter_ns()
    await stream.send_all(asked)
    answer = await read_message(stream)
    took = (time.perf_counter_ns() - start) / 1e6
    if b"get_weather" not in answer or b" 200 " not in answer[:16]:
        raise ValueError(f"not the answer to be measured: {answer[:200]!r}")
    return took


async def added_ms(direct: trio.SocketStream, through: trio.SocketStream, ports: tuple[int, int], key: str) -> float:
    """Return what the median of one run is through the proxy, beyond the median past it."""
    past, judged = [], []
    for _ in range(EXCHANGES):
        past.append(await timed_ms(direct, request(ports[0], key)))
        judged.append(await timed_ms(through, request(ports[1], key)))
    return median(judged) - median(past)


async def openai_proxy(runs: int) -> list[Figure]:
    """Measure the latency that the proxy adds to an answer in one piece with one tool call."""
    async with proxy_to_measure() as (upstream, proxy, key):
        direct = await trio.open_tcp_stream("127.0.0.1", upstream)
        through = await trio.open_tcp_stream("127.0.0.1", proxy)
        async with direct, through:
            await added_ms(direct, through, (upstream, proxy), key)
            samples = [await added_ms(direct, through, (upstream, proxy), key) for _ in range(runs)]
    return [
        Figure(
            name="ms that the OpenAI proxy adds to the p50 of an answer with one tool call",
            target=TARGET_MS,
            at_least=False,
            samples=samples,
            detail="one caller alone, receipt durable before the answer, upstream on loopback",
        )
    ]
