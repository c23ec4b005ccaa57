"""Why JSON was refused, at which place: looked up only after the refusal is certain.

The fast path knows that something is wrong; this one says what, for the person who has to mend it. It decides
nothing: whatever it finds or fails to find, the document stays refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto import numbers

# Both patterns eat what cannot offend inside the engine, so that a megabyte costs few steps here; they never
# give back what they ate and match at the end as well, so that no input makes them look twice (T4).
BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"?)*+(?:([\[{])|([\]}])|\Z)', re.DOTALL)
TOKEN = re.compile(
    r"""(?:[^"\[\]{}\-0-9NI]++"""
    r"""|"[^"\\]*+"(?![ \t\n\r]*+:)"""
    r"""|-?[0-9]{1,15}+(?:\.[0-9]{1,15}+)?+(?![0-9.eE]))*+"""
    r"""(?:(?P<text>"(?:[^"\\]++|\\.)*+"?)(?P<name>[ \t\n\r]*+:)?"""
    r"""|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|NaN|-?Infinity)"""
    r"""|(?P<open>[\[{])|(?P<close>[\]}])|(?P<end>\Z))""",
    re.DOTALL,
)
BOM = b"\xef\xbb\xbf"

SHOWN = 40
"""Characters of an offending name that are repeated to the sender: they find it and do not fill a log."""

MAX_PLACE = 400
"""Characters of a pointer: it goes into records, and the names in it are the sender's (T4)."""

MAX_STEPS = 100_000
"""Steps taken through a value to find what is wrong with it: some 50 ms, in which nobody else is judged (T4)."""


def of_depth(raw: bytes, max_depth: int) -> Malformed:
    """Name the bracket that went deeper than `max_depth`."""
    depth = 0
    for bracket in BRACKET.finditer(raw):
        depth += 1 if bracket[1] else -1
        if depth > max_depth:
            return Malformed(f"nested deeper than {max_depth}", f"byte {bracket.start(1)}")
    return Malformed(f"nested deeper than {max_depth}", "an unknown place")


BLANKS: Final = " \t\n\r"

TRAILING_COMMA: Final = "Illegal trailing comma"
"""What Python 3.13 says at the comma; those before name what they want in place of the bracket behind it."""


def of_bytes(raw: bytes, error: ValueError) -> Malformed:
    """Name what is wrong with bytes that the strict reading refused with `error`."""
    if not raw.strip(BLANKS.encode()):
        return Malformed("an empty document", "byte 0")
    if raw.startswith(BOM):
        return Malformed("a byte order mark, which JSON must not begin with (RFC 8259 section 8.1)", "byte 0")
    if isinstance(error, UnicodeDecodeError):
        return Malformed("not UTF-8", f"byte {error.start}")
    text = raw.decode("utf-8")
    if isinstance(error, json.JSONDecodeError):
        return of_syntax(text, error)
    return of_meaning(text, error)


def of_syntax(text: str, error: json.JSONDecodeError) -> Malformed:
    """Name the byte at which the grammar of RFC 8259 was left, in words that no version of Python changes."""
    skipped = len(text) - len(text.lstrip(BLANKS))
    place, what = skipped + error.pos, error.msg
    if what.startswith(TRAILING_COMMA):
        place = len(text) - len(text[place + 1 :].lstrip(BLANKS))
        what = "Expecting value" if text[place] == "]" else "Expecting property name enclosed in double quotes"
    return Malformed(f"not JSON: {what}", at(text, place))


def of_meaning(text: str, error: ValueError) -> Malformed:
    """Name the first token that is grammatical and still not acceptable."""
    for problem, offset in offences(text):
        return Malformed(problem, at(text, offset))
    return Malformed(str(error), "an unknown place")


def at(text: str, offset: int) -> str:
    return f"byte {len(text[:offset].encode('utf-8'))}"


def offences(text: str) -> Iterator[tuple[str, int]]:
    """Yield what offends in `text`, which is grammatical up to its first offence: problem and offset."""
    names: list[set[str]] = [set()]
    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            names.append(set())
        elif kind == "close":
            names.pop()
        elif kind == "number":
            problem = of_number(token[kind])
            if problem:
                yield problem, token.start(kind)
        elif kind != "end":
            problem = of_string(token["text"], names[-1] if kind == "name" else set())
            if problem:
                yield problem, token.start("text")


def of_number(token: str) -> str:
    """Say what is wrong with a number as it is written, "" for nothing."""
    try:
        if token.endswith(("N", "y")):
            numbers.constant(token)
        elif token.lstrip("-").isdigit():
            numbers.integer(token)
        else:
            numbers.number(token)
    except numbers.Unsafe as unsafe:
        return str(unsafe)
    return ""


def of_string(token: str, names: set[str]) -> str:
    """Say what is wrong with a string as it is written, "" for nothing; put it to its object's `names`."""
    text = json.loads(token) if "\\" in token else token[1:-1]
    if is_unpaired(text):
        return "a lone surrogate"
    if text in names:
        return f"the name {text[:SHOWN]!r} stands twice in one object"
    names.add(text)
    return ""


def of_value(value: JSONValue, max_bytes: int, max_depth: int) -> Malformed:
    """Name what is wrong with a value of this process, and the JSON pointer (RFC 6901) to it.

    Only the way to one item is held at a time, and only the first items are looked at: the sender chooses how many
    there are, how long their names are, and that a name stands above a million of them (T4).
    """
    budget, steps, levels = max_bytes, [""], [iter([("", value)])]
    for _ in range(MAX_STEPS):
        step, item = next(levels[-1], (None, None))
        if step is None:
            levels.pop()
            steps.pop()
        else:
            steps[-1] = step
            problem = of_item(item, len(levels) - 1, max_depth)
            if problem:
                return Malformed(problem, pointer_of(steps[1:]) or "the document")
            budget -= 1 + (len(item) if type(item) is str else 0)
            levels.append(children(item))
            steps.append("")
        if not levels or budget < 0:
            return Malformed(f"more than the {max_bytes} bytes allowed", "the document")
    return Malformed(f"more than the {max_bytes} bytes allowed, or no JSON value further on", "the document")


def pointer_of(steps: list[str]) -> str:
    """Return the JSON pointer of these steps, as much of it as a record may repeat."""
    cut = (step[:MAX_PLACE].replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join(f"/{step}" for step in cut)[:MAX_PLACE]


def of_item(item: JSONValue, depth: int, max_depth: int) -> str:
    """Say what is wrong with this one item, "" for nothing; its children are asked on their own."""
    kind = type(item)
    if kind is str:
        return "a lone surrogate" if is_unpaired(item) else ""
    if kind is int:
        return "" if abs(item) <= numbers.MAX_SAFE else "an integer beyond 2^53-1"
    if kind is float:
        return of_double(item)
    if kind is dict or kind is list:
        return f"nested deeper than {max_depth}" if depth >= max_depth else of_names(item)
    return "" if kind is bool or item is None else f"{kind.__name__}, which is not a JSON type"


def of_double(value: float) -> str:
    try:
        numbers.check_double(value)
    except numbers.Unsafe as unsafe:
        return str(unsafe)
    return ""


def of_names(item: JSONValue) -> str:
    if type(item) is dict:
        for name in item:
            if type(name) is not str:
                return f"a name that is {type(name).__name__} and not a string"
            if is_unpaired(name):
                return "a lone surrogate in a name"
    return ""


def is_unpaired(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def children(item: JSONValue) -> Iterator[tuple[str, JSONValue]]:
    """Yield the children of a container, each with its step of the pointer."""
    if type(item) is dict:
        yield from item.items()
    elif type(item) is list:
        for index, child in enumerate(item):
            yield str(index), child
