"""The words of a CEL expression, each with its kind.

The engine says which names an expression refers to, but not where; what an expression costs depends on where.
Text that the engine might cut into other words than this is refused: comments, bytes, triple quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from helm.contracts.errors import Invalid

WORDS = frozenset({"false", "in", "null", "true"})

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<odd>//|'''|\"\"\"|[rR]?[bB]+[rR]?["'])
    |(?P<raw>[rR](?:"(?:[^"\\\n]|\\[^"\n])*"|'(?:[^'\\\n]|\\[^'\n])*'))
    |(?P<text>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>(?:0x[0-9A-Fa-f]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[uU]?)
    |(?P<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE,
)
STRINGS = frozenset({"raw", "text"})


@attrs.frozen
class Token:
    """One word of an expression. `kind` is a group of TOKEN; "" beyond either end."""

    kind: str
    text: str


NOTHING = Token("", "")

Tokens = tuple[Token, ...]
"""A whole expression, NOTHING first and last, so that every word has a neighbour."""


def tokens_of(source: str, where: str) -> Tokens:
    """Return the words of an expression. Raises Invalid."""
    return (NOTHING, *tokenised(source, where), NOTHING)


def tokenised(source: str, where: str) -> Iterator[Token]:
    place = 0
    while place < len(source):
        found = TOKEN.match(source, place)
        if found is None or found.lastgroup in (None, "odd"):
            hint = "no comments, no bytes, no triple quotes, no other signs"
            raise Invalid(f"{source[place : place + 8]!a} cannot stand here", where, hint)
        if found.lastgroup != "space":
            yield Token(found.lastgroup or "", found[0])
        place = found.end()


def calls(tokens: Tokens) -> Iterator[int]:
    """Yield where a name stands before an opening bracket."""
    for i, token in enumerate(tokens[:-1]):
        if token.kind == "name" and token.text not in WORDS and tokens[i + 1].text == "(":
            yield i


def is_member(tokens: Tokens, i: int) -> bool:
    return tokens[i - 1].text == "."


def is_root(tokens: Tokens, i: int) -> bool:
    """Tell whether a name stands for a value: not a member, a function or a word of the language."""
    token = tokens[i]
    if token.kind != "name" or token.text in WORDS or is_member(tokens, i):
        return False
    return tokens[i + 1].text != "("
