"""Which CEL a policy may be written in: only what costs no more than its text says.

The language lets a short text do much work, and the caller chooses the values it works on (T4). Measured on a
list of 10,000: `map` and `filter` take 2.3 s (they copy the list for each item), a list used inside `all`
takes 3.5 s, `all` alone 4 ms. What grows faster than its input is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from helm.contracts.errors import Invalid
from helm.guardian.cel_tokens import NOTHING, STRINGS, WORDS, Tokens, calls, is_member, is_root, tokens_of

MAX_CHARS = 1_000
"""Longest expression: near 100,000 characters the engine overflows its stack, and the process dies (T4)."""

MAX_ADDITIONS = 8
"""Most `+` in one expression: each may copy a text as long as a call may be (T4)."""

MAX_PATTERN_CHARS = 100
"""Longest pattern of `matches`: the engine compiles it for every call, in 8 us for letters, 0.2 ms for each
\\w or \\d, and at most 0.1 s for what it takes at all. A schema's pattern is compiled once (T4)."""

VARIABLES = frozenset(
    {
        "args",
        "destination",
        "effect_type",
        "labels",
        "now_ms",
        "principal",
        "risk_tier",
        "session",
        "tenant",
        "tool",
    }
)
LISTS = frozenset({"args", "labels"})
TYPES = frozenset({"bool", "double", "int", "list", "map", "null_type", "string", "uint"})
FUNCTIONS = frozenset({"double", "has", "int", "size", "string", "type", "uint"})
METHODS = frozenset({"contains", "endsWith", "matches", "size", "startsWith"})
MACROS = frozenset({"all", "exists", "exists_one"})


@attrs.frozen(kw_only=True)
class Needs:
    """What an expression looks at: nothing else is handed to it."""

    variables: frozenset[str]
    members: frozenset[str] | None
    """The arguments it names one by one, None where it looks at all of them."""
    bound: frozenset[str]
    """The names that its comprehensions bind."""
    patterns: tuple[str, ...]
    """The patterns it matches against, as they are written."""


def together(several: Iterable[Needs]) -> Needs:
    """Return what several expressions look at."""
    needs = tuple(several)
    members = [need.members for need in needs]
    return Needs(
        variables=frozenset[str]().union(*(need.variables for need in needs)),
        members=None if None in members else frozenset[str]().union(*(m for m in members if m is not None)),
        bound=frozenset(),
        patterns=(),
    )


@attrs.frozen(kw_only=True)
class Body:
    """The inside of one comprehension: the tokens in which `bound` has a meaning."""

    bound: str
    span: range


def needs_of(source: str, where: str) -> Needs:
    """Return what an expression looks at. Raises Invalid unless it keeps to this grammar."""
    if len(source) > MAX_CHARS:
        raise Invalid(f"an expression of more than {MAX_CHARS} characters", where, "write two requirements")
    tokens = tokens_of(source, where)
    bodies = tuple(bodies_of(tokens, where))
    check_calls(tokens, where)
    check_bodies(tokens, bodies, where)
    if sum(token.text == "+" for token in tokens) > MAX_ADDITIONS:
        raise Invalid(f"more than {MAX_ADDITIONS} additions", where, "compare the parts one by one")
    roots = [i for i in range(len(tokens)) if is_root(tokens, i)]
    check_roots(tokens, roots, bodies, where)
    return Needs(
        variables=VARIABLES & {tokens[i].text for i in roots},
        members=members_of(tokens, roots),
        bound=frozenset(body.bound for body in bodies),
        patterns=tuple(tokens[i + 2].text for i in calls(tokens) if tokens[i].text == "matches"),
    )


def bodies_of(tokens: Tokens, where: str) -> Iterator[Body]:
    """Yield the body of every comprehension. Raises Invalid."""
    for i in calls(tokens):
        if tokens[i].text in MACROS and is_member(tokens, i):
            yield body_at(tokens, i, where)


def body_at(tokens: Tokens, i: int, where: str) -> Body:
    """Return the body of the comprehension whose name stands at `i`. Raises Invalid."""
    bound, comma = tokens[min(i + 2, len(tokens) - 1)], tokens[min(i + 3, len(tokens) - 1)]
    if bound.kind != "name" or comma.text != ",":
        raise Invalid(f"{tokens[i].text} needs a name and a condition", where, "write list.all(x, x > 0)")
    if bound.text in VARIABLES | TYPES | WORDS:
        raise Invalid(f"{bound.text} already means something", where, "choose another name for the item")
    depth = 0
    for end in range(i + 1, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[end].text, 0) if tokens[end].kind == "sign" else 0
        if depth == 0:
            return Body(bound=bound.text, span=range(i + 2, end))
    raise Invalid("a bracket is not closed", where)


def check_calls(tokens: Tokens, where: str) -> None:
    """Refuse every function but those that cost what they say and ask nobody. Raises Invalid."""
    for i in calls(tokens):
        name = tokens[i].text
        if name not in (METHODS | MACROS if is_member(tokens, i) else FUNCTIONS):
            hint = f"there are {', '.join(sorted(FUNCTIONS | METHODS | MACROS))}"
            raise Invalid(f"unknown function {name[:40]}", where, hint)
        if name == "matches":
            check_pattern(tokens[i + 2 : i + 4], where)


def check_pattern(after: Tokens, where: str) -> None:
    """Refuse a pattern that is not written out: compiling is the costly part, and no caller may choose it."""
    if len(after) < 2 or after[0].kind not in STRINGS or after[1].text != ")":
        raise Invalid("the pattern of matches must be a literal", where, "write the pattern out in quotes")
    if len(after[0].text) > MAX_PATTERN_CHARS:
        hint = "write it as pattern in the input schema"
        raise Invalid(f"a pattern of more than {MAX_PATTERN_CHARS} characters", where, hint)


def check_bodies(tokens: Tokens, bodies: tuple[Body, ...], where: str) -> None:
    """Refuse a comprehension whose cost grows faster than the list it goes through. Raises Invalid."""
    for body in bodies:
        for i in body.span:
            token = tokens[i]
            grows = token.text == "+" or (token.text in LISTS and is_root(tokens, i))
            if grows or (token.kind == "name" and token.text in MACROS | {"matches"}):
                hint = "inside a comprehension no +, no matches, no args or labels, no other comprehension"
                raise Invalid(f"{token.text} for every item of a list", where, hint)


def check_roots(tokens: Tokens, roots: list[int], bodies: tuple[Body, ...], where: str) -> None:
    """Refuse a name that nothing gives a value to. Raises Invalid."""
    for i in roots:
        name = tokens[i].text
        is_bound = any(name == body.bound and i in body.span for body in bodies)
        if name not in VARIABLES | TYPES and not is_bound:
            raise Invalid(f"unknown variable {name[:40]}", where, f"there are {', '.join(sorted(VARIABLES))}")
        if tokens[i + 1].text == "{":
            raise Invalid(f"{name} is no type that can be built", where, "compare member by member")


def members_of(tokens: Tokens, roots: list[int]) -> frozenset[str] | None:
    """Return which arguments are named one by one, None where `args` is looked at as a whole."""
    members = [member_after(tokens[i + 1 : i + 4]) for i in roots if tokens[i].text == "args"]
    named = frozenset(member for member in members if member is not None)
    return None if None in members else named


def member_after(after: Tokens) -> str | None:
    """Return the member in `.name` or `["name"]`, None for anything else."""
    first, second, third = (*after, NOTHING, NOTHING, NOTHING)[:3]
    if first.text == "." and second.kind == "name" and third.text != "(":
        return second.text
    if first.text == "[" and second.kind == "text" and third.text == "]" and "\\" not in second.text:
        return second.text[1:-1]
    return None
