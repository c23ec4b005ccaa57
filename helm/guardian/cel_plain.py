"""Plain conditions, answered as the engine answers them, without handing it anything.

Most conditions compare an argument with what they spell out. Taking the engine there costs ten times the answer, so
what is plain is compiled into functions here. It is plain only where the engine can give nothing else:

1. An expression: the engine has taken it, and its words are exactly one of the few forms below. Whoever reads CEL
   reads them alike; there is no arithmetic, no negative number, no escape, no chain of comparisons.
2. A value: short text that has UTF-8, compared with text, or a whole number within 2^53-1, compared with one. What
   is missing, and every other value, is the engine's, which has an answer or the words for what is wrong.
3. A rule: all parts of all its conditions are answered, or none. So no error is there for && and || to pass over,
   and nothing is passed over that would be more than the engine may be handed.

The engine compares bytes of UTF-8, this module characters. In text that has UTF-8 they begin, end, contain and equal
each other alike, for no character's bytes begin within another's; neither side folds or composes what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from helm.crypto.canonical import MAX_SAFE
from helm.guardian.cel import MAX_VALUES
from helm.guardian.cel_tokens import Token, Tokens, tokens_of
from helm.guardian.cel_variables import LOOKS

if TYPE_CHECKING:
    from helm.guardian.inquiry import Inquiry

Look = Callable[["Inquiry"], Any]
Plain = Callable[["Inquiry"], bool]
"""Tells whether a condition holds. Raises ValueError where only the engine may tell."""

MAX_NESTED = 50
"""Most brackets and `!` of a plain condition: each may be a level for the interpreter's stack (T4)."""

MAX_TEXT = 1_000
"""Longest text that is plain. The engine searches a long one up to fifty times faster than Python does, and it is the
caller who chooses how long it is: with four hundred `contains` a megabyte took half a second instead of 17 ms (T4)."""

MAX_DIGITS = 15
"""Longest whole number that is plain: it is within 2^53-1, like every number that is compared with it."""

TEXT_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = MappingProxyType(
    {
        "==": lambda text, other: text == other,
        "!=": lambda text, other: text != other,
        "contains": lambda text, part: part in text,
        "endsWith": lambda text, end: text.endswith(end),
        "startsWith": lambda text, start: text.startswith(start),
    }
)
NUMBER_TESTS: Final[Mapping[str, Callable[[int, int], bool]]] = MappingProxyType(
    {
        "<": lambda number, other: number < other,
        "<=": lambda number, other: number <= other,
        "==": lambda number, other: number == other,
        "!=": lambda number, other: number != other,
        ">=": lambda number, other: number >= other,
        ">": lambda number, other: number > other,
    }
)


def plain_of(sources: Sequence[str]) -> tuple[Plain, ...]:
    """Return what answers these conditions, which the engine has taken, or nothing unless all of them are plain.

    Whoever names more arguments than the engine may be handed has written more characters than that.
    """
    if sum(map(len, sources)) > MAX_VALUES:
        return ()
    try:
        return tuple([compiled(source) for source in sources])
    except ValueError:
        return ()


def compiled(source: str) -> Plain:
    """Return what answers one condition. Raises ValueError unless it is plain."""
    tokens = tokens_of(source, source)[1:-1]
    if sum(token.text in {"(", "!"} for token in tokens) > MAX_NESTED:
        raise ValueError("too deep to be plain")
    return condition(tokens)


def condition(tokens: Tokens) -> Plain:
    """Return what answers these words. Raises ValueError unless they are plain.

    || binds least, then &&; ! binds to what stands next to it, which is a condition only where a bracket closes it.
    Brackets that were opened by others leave words that have none of the forms.
    """
    for sign, decide in (("||", any), ("&&", all)):
        pieces = split(tokens, sign)
        if len(pieces) > 1:
            return joined(decide, [condition(piece) for piece in pieces])
    match tokens:
        case (Token("sign", "!"), *_, Token("sign", ")")):
            return negated(condition(tokens[1:]))
        case (Token("sign", "("), *_, Token("sign", ")")):
            return condition(tokens[1:-1])
        case _:
            return comparison(tokens)


def split(tokens: Tokens, sign: str) -> list[Tokens]:
    """Return what stands between these signs, outside brackets."""
    pieces, depth, start = [], 0, 0
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if token.text == sign and depth == 0:
            pieces.append(tokens[start:at])
            start = at + 1
    return [*pieces, tokens[start:]]


def joined(decide: Callable[[list[bool]], bool], parts: list[Plain]) -> Plain:
    """Return what answers all the parts before any of them counts."""
    return lambda inquiry: decide([part(inquiry) for part in parts])


def negated(part: Plain) -> Plain:
    return lambda inquiry: not part(inquiry)


def comparison(tokens: Tokens) -> Plain:
    """Return what compares one value with what is spelled out. Raises ValueError for any other words."""
    match tokens:
        case (Token("name", "args"), Token("sign", "."), Token("name", name), *rest):
            return compared(argument(name), rest)
        case (Token("name", "args"), Token("sign", "["), name, Token("sign", "]"), *rest):
            return compared(argument(spelled(name)), rest)
        case (Token("name", name), *rest) if name in LOOKS:
            return compared(LOOKS[name], rest)
    raise ValueError("no value that is plain")


def compared(look: Look, rest: Sequence[Token]) -> Plain:
    """Return what compares a value with the rest of the words. Raises ValueError unless they have one of the forms."""
    match rest:
        case (Token("sign", "."), Token("name", name), Token("sign", "("), text, Token("sign", ")")):
            if name in TEXT_TESTS:
                return of_text(look, TEXT_TESTS[name], spelled(text))
        case (Token("sign", sign), Token("text") as text) if sign in TEXT_TESTS:
            return of_text(look, TEXT_TESTS[sign], spelled(text))
        case (Token("name", "in"), Token("sign", "["), *items, Token("sign", "]")):
            return of_text(look, lambda text, several: text in several, listed(items))
        case (Token("sign", sign), Token("number") as number) if sign in NUMBER_TESTS:
            return of_number(look, NUMBER_TESTS[sign], whole(number))
    raise ValueError("no comparison that is plain")


def argument(name: str) -> Look:
    """Return what looks at one argument. One that is missing is None, which nothing plain is compared with."""

    def look(inquiry: Inquiry) -> Any:
        arguments = inquiry.call.parsed
        return arguments.get(name) if type(arguments) is dict else None

    return look


def of_text(look: Look, holds: Callable[[str, Any], bool], other: Any) -> Plain:
    """Return what tells whether a text holds. It raises ValueError for what is no text, too long, or has no UTF-8."""

    def answer(inquiry: Inquiry) -> bool:
        text = look(inquiry)
        if type(text) is not str or len(text) > MAX_TEXT:
            raise ValueError("no short text")
        if not text.isascii():
            text.encode()
        return holds(text, other)

    return answer


def of_number(look: Look, holds: Callable[[int, int], bool], other: int) -> Plain:
    """Return what tells whether a number holds. It raises ValueError for what is no whole number, or too large."""

    def answer(inquiry: Inquiry) -> bool:
        number = look(inquiry)
        if type(number) is not int or not -MAX_SAFE <= number <= MAX_SAFE:
            raise ValueError("no whole number within 2^53-1")
        return holds(number, other)

    return answer


def spelled(token: Token) -> str:
    """Return the text between quotes. Raises ValueError where it does not stand for itself."""
    if token.kind != "text" or "\\" in token.text:
        raise ValueError("no text that is spelled out")
    return token.text[1:-1]


def listed(items: Sequence[Token]) -> frozenset[str]:
    """Return the texts of a list, with a comma between each two. Raises ValueError for any other list."""
    if any(token.text != "," for token in items[1::2]):
        raise ValueError("no list of texts")
    return frozenset(map(spelled, items[::2]))


def whole(token: Token) -> int:
    """Return a whole number. Raises ValueError unless a few digits are all that it is written in."""
    if len(token.text) > MAX_DIGITS:
        raise ValueError("too long to be plain")
    return int(token.text)
