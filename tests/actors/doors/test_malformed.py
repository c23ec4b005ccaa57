"""Arguments that are none: whoever is authenticated and names a tool gets a record and a receipt, and no effect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helm.crypto.hashing import sha256
from tests.actors.doors.street import Street, open_street
from tests.actors.kit import House
from tests.actors.puppet import Puppet

DEEP = b"[" * 100_000 + b"]" * 100_000

BODIES: dict[str, bytes] = {
    "nothing after the tool": b'{"tool":"read"',
    "a number that is none": b'{"tool":"read","arguments":{"n":NaN}}',
    "infinity": b'{"arguments":{"n":-Infinity},"tool":"read"}',
    "a number beyond every reader": b'{"tool":"read","arguments":{"n":9007199254740993}}',
    "a name that stands twice": b'{"tool":"read","arguments":{"path":"a","path":"b"}}',
    "bytes that are no UTF-8": b'{"tool":"read","arguments":{"path":"\xff\xfe"}}',
    "half a character": b'{"tool":"read","arguments":{"path":"\\ud800"}}',
    "a depth that no stack has": b'{"tool":"read","arguments":' + DEEP + b"}",
    "a depth that is one too many": b'{"tool":"read","arguments":{"a":' + b"[" * 64 + b"]" * 64 + b"}}",
    "a million and more": b'{"tool":"read","arguments":{"path":"' + b"a" * 1_100_000 + b'"}}',
    "a byte order mark": b'\xef\xbb\xbf{"tool":"read","arguments":{}}',
    "a comment": b'{"tool":"read",/* hello */"arguments":{}}',
    "two documents": b'{"tool":"read","arguments":{}}{}',
    "no arguments": b'{"tool":"read"}',
    "arguments that are nothing": b'{"tool":"read","arguments":null}',
    "arguments that are a number": b'{"tool":"read","arguments":5}',
    "arguments that are a list": b'{"tool":"read","arguments":[{"path":"a"}]}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_the_whole_body_is_hashed_as_it_came_and_the_call_is_denied(house: House, body: bytes) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street:
        reply = await street.call(body)
        record = await street.ask("GET", f"/api/v1/boundary/records/{reply.json()['record_id']}")
    assert (reply.status, reply.json()["reason_code"]) == (403, "SCHEMA_VIOLATION")
    assert reply.receipt["args_hash"] == sha256(body)
    assert (reply.receipt["tool"], reply.receipt["principal"]) == ("read", "agent")
    assert record.json()["args_malformed"] is True
    assert puppet.orders == []


TEXTS: dict[str, str] = {
    "an empty text": "",
    "no JSON": "path=a",
    "cut off": '{"path":',
    "a name that stands twice": '{"path":"a","path":"b"}',
    "a depth that no stack has": DEEP.decode(),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_text_that_holds_no_arguments_is_hashed_as_that_text(street: Street, text: str) -> None:
    reply = await street.call({"tool": "read", "arguments": text})
    assert (reply.status, reply.json()["reason_code"]) == (403, "SCHEMA_VIOLATION")
    assert reply.receipt["args_hash"] == sha256(text.encode())


@pytest.mark.parametrize("body", [b"", b"tool=read", b"\xff\xff", b"[]", b'{"arguments":{'])
async def test_a_header_may_name_the_tool_of_a_body_that_cannot(street: Street, body: bytes) -> None:
    reply = await street.call(body, x_helm_tool="read")
    assert (reply.status, reply.json()["reason_code"]) == (403, "SCHEMA_VIOLATION")
    assert (reply.receipt["tool"], reply.receipt["args_hash"]) == ("read", sha256(body))


NAMELESS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "byte 0"),
    "cut off in the middle": (b'{"arguments":{"a":', "byte 18"),
    "a list": (b'[{"tool":"read"}]', "/"),
    "a tool somewhere inside": (b'{"arguments":{"tool":"read"}', "byte 28"),
    "two tools": (b'{"tool":"read","tool":"write","arguments":{}}', "/tool"),
    "two tools, one of them spelled otherwise": (b'{"tool":"read","\\u0074ool":"write"}', "/tool"),
    "two tools, one of them no string": (b'{"tool":5,"arguments":NaN,"tool":"read"}', "/tool"),
}


@pytest.mark.parametrize(("body", "place"), NAMELESS.values(), ids=NAMELESS)
async def test_a_body_that_names_no_one_tool_is_refused_at_its_place(street: Street, body: bytes, place: str) -> None:
    before = street.kernel.parts.journal.head
    reply = await street.call(body)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")
    assert (reply.json()["place"], street.kernel.parts.journal.head) == (place, before)


async def test_a_torn_body_that_names_another_tool_than_its_header_is_refused(street: Street) -> None:
    reply = await street.call(b'{"tool":"read","arguments":NaN}', x_helm_tool="write")
    assert (reply.status, reply.json()["place"]) == (400, "/tool")


async def test_a_torn_body_keeps_to_its_session(street: Street) -> None:
    first = await street.call({"tool": "read", "arguments": {}, "session_id": "s"})
    torn = await street.call(b'{"session_id":"s","tool":"read","arguments":NaN}')
    assert torn.receipt["session_id"] == "s"
    assert torn.receipt["prev_hash"] == first.receipt["signature"]


async def test_a_torn_body_that_names_no_possible_session_has_the_callers_own(street: Street) -> None:
    own = await street.call({"tool": "read", "arguments": {}})
    torn = await street.call(b'{"session_id":"a b","tool":"read","arguments":NaN}')
    assert torn.receipt["session_id"] == own.receipt["session_id"]


async def test_an_evaluation_of_what_is_none_says_so_and_leaves_a_receipt(street: Street) -> None:
    reply = await street.evaluate(b'{"tool":"read","arguments":NaN}')
    assert (reply.status, reply.json()["verdict"]) == (200, "DENY")
    assert reply.json()["reason_code"] == "SCHEMA_VIOLATION"


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


async def test_arguments_as_deep_as_they_may_be_are_arguments(street: Street) -> None:
    assert (await street.call({"tool": "read", "arguments": nested(64)})).status == 200
    assert (await street.call({"tool": "read", "arguments": json.dumps(nested(64))})).status == 200
    assert (await street.call({"tool": "read", "arguments": nested(65)})).status == 403
