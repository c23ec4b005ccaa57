"""What a body names that is not JSON: its tool, found without believing the rest of it (T2, T4).

Such a call is refused whatever is found here. Finding its tool only decides under which name the record of the
refusal stands, so the search is shallow, never recursive, and gives up early.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import attrs

TOKEN = re.compile(rb'[^"\[\]{}:,]*+(?:("(?:[^"\\]++|\\.)*+"|[\[\]{}:,])|"|\Z)', re.DOTALL)
"""The next string or mark of structure. Possessive, and it matches at the end too: no input makes it look twice."""

MAX_TOKENS = 100_000
"""Tokens looked at: some 30 ms. An honest envelope has a handful around its arguments."""

MAX_NAME_BYTES = 2048
"""Longest string that is read as a name: 256 characters, each of them escaped."""


@attrs.frozen
class Named:
    """What a torn body says of itself. A tool that it names twice is none."""

    tool: str = ""
    session_id: str = ""
    tools: int = 0
    """How often it names one."""


def names_in(raw: bytes) -> Named:
    """Return what the outermost object of `raw` names, as far as it can be followed."""
    tools, sessions = [], []
    for name, value in members(raw):
        if name == "tool":
            tools.append(value)
        elif name == "session_id":
            sessions.append(value)
    return Named(tool=single(tools), session_id=single(sessions), tools=len(tools))


def single(values: list[str]) -> str:
    return values[0] if len(values) == 1 else ""


def members(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and value of the outermost object's members, "" for a value that is no string."""
    tokens = tokens_of(raw)
    if next(tokens, b"") != b"{":
        return
    depth, before, name = 1, b"{", b""
    for token in tokens:
        if depth == 1 and token == b":":
            name = before
        elif depth == 1 and before == b":":
            yield text_of(name), text_of(token)
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
        if not depth:
            return
        before = token


def tokens_of(raw: bytes) -> Iterator[bytes]:
    """Yield strings and marks, at most `MAX_TOKENS`, up to the end or a string that has none."""
    for _, match in zip(range(MAX_TOKENS), TOKEN.finditer(raw), strict=False):
        if not match[1]:
            return
        yield match[1]


def text_of(token: bytes) -> str:
    """Return what a JSON string means, "" for one that is no name."""
    if len(token) > MAX_NAME_BYTES or token[:1] != b'"':
        return ""
    try:
        return str(json.loads(token))
    except ValueError:
        return ""
