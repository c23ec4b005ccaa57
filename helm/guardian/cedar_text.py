"""What may be put before Cedar's parser and validator: texts whose work is bounded by their length (T4).

The parser goes as deep as the text does, and where the stack ends the process ends. The validator writes types out and
goes through every kind of request. Whoever verifies a pack loads a stranger's bundle, so all of that is bounded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from helm.contracts.errors import Invalid

MAX_TEXT_BYTES: Final = 64 * 1024
"""Longest policies, schema or entities of a point (T4)."""

MAX_NESTING: Final = 24
"""Brackets within brackets: the engine's parser recurses, and a thousand of them end the process (T4)."""

MAX_STEPS: Final = 32
"""Names in a row that are joined by dots: what the validator does with `has` grows with their cube (T4)."""

TOKEN: Final = re.compile(r'(?P<text>"(?:\\.|[^"\\])*")|(?P<comment>//[^\n\r]*)|(?P<word>[A-Za-z_]\w*)|(?P<mark>\S)')
"""Cedar's tokens, as far as they matter: its texts and comments end where its own lexer ends them."""

DECLARES_TYPE: Final = re.compile(r"\btype [A-Za-z_]")
LISTS_KINDS: Final = re.compile(r": \[")


def check_policies(text: str, where: str) -> None:
    """Refuse policies that the engine could not go through in bounded time and depth. Raises Invalid."""
    check_length(text, where)
    tokens = list(tokens_of(text, where))
    check_nesting(tokens, "([{", ")]}", where)
    steps = 0
    for word in tokens:
        if word == ".":
            steps += 1
        elif not (word[0].isalpha() or word[0] == "_"):
            steps = 0
        if steps > MAX_STEPS:
            raise Invalid(f"more than {MAX_STEPS} names in a row", where, "look at what is nearer")


def check_schema(text: str, where: str) -> None:
    """Refuse a schema that the engine could not go through in bounded time and depth. Raises Invalid."""
    check_length(text, where)
    tokens = list(tokens_of(text, where))
    check_nesting(tokens, "([{<", ")]}>", where)
    plain = " ".join(tokens)
    if DECLARES_TYPE.search(plain):
        hint = "HelmCall is there; types of types are written out to more than a machine holds"
        raise Invalid("it declares a type: write it out where it is used", where, hint)
    if LISTS_KINDS.search(plain):
        raise Invalid("a list of principals or resources", where, "write principal: Principal, resource: Tool")


def check_length(text: str, where: str) -> None:
    """Refuse a text that is too long. Raises Invalid."""
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise Invalid(f"longer than {MAX_TEXT_BYTES} bytes", where, "say less here")


def tokens_of(text: str, where: str) -> Iterator[str]:
    """Yield the tokens of a text without its comments, each text in it as "". Raises Invalid."""
    for token in TOKEN.finditer(text):
        if token["text"]:
            yield '""'
        elif token[0] == '"':
            raise Invalid("a text that does not end", where, "close it with a quotation mark")
        elif not token["comment"]:
            yield token[0]


def check_nesting(tokens: list[str], opening: str, shutting: str, where: str) -> None:
    """Refuse brackets that are nested so deep that the parser could not come back. Raises Invalid."""
    depth = 0
    for token in tokens:
        if token in opening:
            depth += 1
        elif token in shutting:
            depth = max(0, depth - 1)
        if depth > MAX_NESTING:
            raise Invalid(f"brackets deeper than {MAX_NESTING}", where, "split it into several policies")


def matching_bytes(policies: str) -> int:
    """Return how long all texts together are that stand behind a `like`."""
    total, after_like = 0, False
    for token in TOKEN.finditer(policies):
        if not token["comment"]:
            if after_like and token["text"]:
                total += len(token[0].encode())
            after_like = token[0] == "like"
    return total
