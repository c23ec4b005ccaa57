"""Finding a tool's name in what is no JSON, in bounded time, whatever it is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.doors.torn import Named, names_in
from helm.crypto.canonical import record_bytes

FOUND: dict[str, tuple[bytes, Named]] = {
    "behind a depth": (b'{"arguments":' + b"[" * 30_000 + b"]" * 30_000 + b',"tool":"a"}', Named("a", "", 1)),
    "behind what is no number": (b'{"n":NaN, "tool" : "a"}', Named("a", "", 1)),
    "in other characters": (b'{"\\u0074ool":"\\u0061"}', Named("a", "", 1)),
    "before the end that never comes": (b'{"tool":"a","arguments":"never', Named("a", "", 1)),
    "not inside the arguments": (b'{"arguments":{"tool":"a"}', Named("", "", 0)),
    "not inside a string": (b'{"arguments":"{\\"tool\\":\\"a\\"}"', Named("", "", 0)),
    "not after the end": (b'{"a":1} {"tool":"a"}', Named("", "", 0)),
    "not in a list": (b'[{"tool":"a"}', Named("", "", 0)),
    "not twice": (b'{"tool":"a","tool":"b"', Named("", "", 2)),
    "a session that stands twice is none": (b'{"session_id":"s","tool":"a","session_id":"t"', Named("a", "", 1)),
    "a name without end": (b'{"tool":"' + b"a" * 3000 + b'","x":', Named("", "", 1)),
}


@pytest.mark.parametrize(("raw", "named"), FOUND.values(), ids=FOUND)
def test_a_tool_is_found_where_a_reader_would_look(raw: bytes, named: Named) -> None:
    assert names_in(raw) == named


@pytest.mark.parametrize(
    "raw",
    [b"a", b'"', b"\\", b"{", b'{"a":[],', b'"\\', b'{"tool":"\\"', b"[]", b"::", b" "],
)
def test_no_input_makes_it_look_twice(raw: bytes) -> None:
    start = time.process_time()
    names_in((raw * (4_000_000 // len(raw) + 1))[:4_000_000])
    names_in(b'{"x":' + (raw * (4_000_000 // len(raw) + 1))[:4_000_000])
    assert time.process_time() - start < 2


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    names_in(raw)
    names_in(b'{"tool":' + raw)


@given(
    st.dictionaries(st.text(st.characters(codec="ascii"), max_size=5), st.integers(0, 9) | st.text(max_size=5)),
    st.text(max_size=9),
    st.binary(max_size=5),
)
def test_in_json_with_something_behind_it_finds_what_a_reader_finds(
    other: dict[str, object], tool: str, behind: bytes
) -> None:
    body = {**other, "tool": tool}
    assert names_in(record_bytes(body) + behind).tool == tool
