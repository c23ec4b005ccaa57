"""However a stream is cut into pieces, the same is read of it, and nothing of a tool call comes before its ruling."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Refused
from helm.openai.ask import Ask, Ruling
from helm.openai.chat_stream import ChatStream
from helm.openai.sse import Events


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return event({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def fragment(**function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": function}]}


ARGUMENTS = '{"city": "Tromsø \\u00e5"}'
HEAD = {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": ""}}]}
STREAM = b"".join(
    [
        b": a comment\n\nid: 7\nretry: 10\n",
        chunk({"role": "assistant", "content": "Hello"}).replace(b"\n", b"\r\n"),
        chunk(HEAD),
        *(chunk(fragment(arguments=letter)) for letter in ARGUMENTS),
        chunk({}, "tool_calls"),
        b"data: [DONE]\n\n",
    ]
)


def read(pieces: list[bytes]) -> tuple[list[bytes], tuple[Ask, ...], list[bytes]]:
    events, stream, text = Events(), ChatStream(), []
    for piece in pieces:
        for data in events.feed(piece):
            text += stream.feed(data)
    events.check_end()
    asks = stream.close()
    return text, asks, stream.tail(asks, {"call_1": Ruling(arguments="{}")})


WHOLE = read([STREAM])


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_any_way_to_cut_a_stream_reads_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert read([STREAM[a:b] for a, b in itertools.pairwise(places)]) == WHOLE


def test_a_call_is_asked_for_with_what_its_fragments_say_together() -> None:
    text, asks, tail = WHOLE
    assert asks == (Ask(call_id="call_1", tool="weather", arguments=ARGUMENTS.encode()),)
    assert b"weather" not in b"".join(text)
    assert tail[-1] == b"data: [DONE]\n\n"


@given(st.integers(min_value=1, max_value=len(STREAM) - 1))
def test_no_beginning_of_a_stream_is_a_stream(length: int) -> None:
    cut = STREAM[:length]
    if cut.rstrip() == STREAM.rstrip():
        return
    with pytest.raises(Refused):
        read([cut])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    events, stream = Events(), ChatStream()
    try:
        for data in events.feed(noise + b"\n\n"):
            stream.feed(data)
    except Refused:
        pass
