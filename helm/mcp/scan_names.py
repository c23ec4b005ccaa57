"""Names that are taken for other names: of the same server, or of another one (T3, T6)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from helm.mcp.finding import Finding, Severity, quote

LOOKALIKES: Final = str.maketrans(
    "авсԁеһіјкӏмнорԛѕтухԝαειοκνρτυχωɡɩ01|",
    "abcdehijklmhopqstyxwaeiokvptuxwgiolI",
)
"""Letters of other alphabets, and digits, as the Latin letter that they are taken for."""

NEAR_FROM: Final = 6
"""Shortest name of which one letter more or less is no other word."""

MAX_NAME: Final = 128
"""Longest name that is compared; a longer one is a finding itself (T4)."""

MAX_NEAR: Final = 8
"""Names that are kept under one variant: a server that lists a thousand alike is found by the first of them (T4)."""

PARTS: Final = re.compile(r"[_.\-/ ]")


def skeleton(name: str) -> str:
    """Return a name as the eye takes it."""
    plain = unicodedata.normalize("NFKC", name[:MAX_NAME]).lower().translate(LOOKALIKES)
    return plain.replace("rn", "m").replace("vv", "w").lower().replace("i", "l")


def scan_names(server: str, names: Sequence[str], others: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """Yield what is odd about the names of one server's tools, beside each other and beside those of other servers."""
    yield from odd(server, names)
    mine = [(name, f"{server}/{name}", "") for name in dict.fromkeys(names) if len(name) <= MAX_NAME]
    theirs = [(name, "", other) for other, known in others.items() for name in known if len(name) <= MAX_NAME]
    yield from twice(server, names)
    yield from same(mine, theirs)
    yield from alike(mine, theirs)
    yield from near(mine, theirs)
    for other in others:
        if server != other and skeleton(server) == skeleton(other):
            yield found("name.server", Severity.HIGH, server, server, f"the server {other} looks the same")


Named = tuple[str, str, str]
"""A name, its place, and the other server that it is of."""


def odd(server: str, names: Iterable[str]) -> Iterator[Finding]:
    """Yield names with letters of other alphabets, or of no use to anybody."""
    for name in names:
        if len(name) > MAX_NAME:
            why = f"a name of more than {MAX_NAME} characters"
            yield found("name.long", Severity.MEDIUM, f"{server}/{name[:MAX_NAME]}", name, why)
        elif not name.isascii():
            why = "letters that look like others: no keyboard of its readers types them"
            yield found("name.letters", Severity.HIGH, f"{server}/{name}", name, why)


def twice(server: str, names: Sequence[str]) -> Iterator[Finding]:
    """Yield names that stand twice in one listing."""
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield found("name.twice", Severity.HIGH, f"{server}/{name}", name, "it is listed twice: which one is called?")


def same(mine: Sequence[Named], theirs: Sequence[Named]) -> Iterator[Finding]:
    """Yield names that another server has too."""
    known = {name: server for name, _, server in theirs}
    for name, where, _ in mine:
        if name in known:
            why = f"the server {known[name]} has a tool of this name: a client that knows only names takes either"
            yield found("name.same", Severity.MEDIUM, where, name, why)


def alike(mine: Sequence[Named], theirs: Sequence[Named]) -> Iterator[Finding]:
    """Yield names that differ only in what the eye does not tell apart."""
    seen: dict[str, Named] = {}
    for one in (*theirs, *mine):
        name, where, _ = one
        other = seen.setdefault(skeleton(name), one)
        if where and other[0] != name:
            why = f"it looks like {whose(other)}, and is another name"
            yield found("name.lookalike", Severity.HIGH, where, name, why)


def near(mine: Sequence[Named], theirs: Sequence[Named]) -> Iterator[Finding]:
    """Yield names that one slip of the finger, or another way to part their words, makes another."""
    seen: dict[str, list[Named]] = {}
    for one in (*theirs, *mine):
        joined = PARTS.sub("", one[0]).lower()
        close = {other for variant in shorter(joined) for other in seen.get(variant, ())} if one[1] else set()
        for other in sorted(close):
            if is_near(joined, PARTS.sub("", other[0]).lower()) and skeleton(one[0]) != skeleton(other[0]):
                severity = Severity.MEDIUM if other[2] else Severity.LOW
                yield found("name.near", severity, one[1], one[0], f"it is nearly {whose(other)}")
                break
        for variant in shorter(joined):
            if len(there := seen.setdefault(variant, [])) < MAX_NEAR:
                there.append(one)


def shorter(name: str) -> set[str]:
    """Return the name, and the name without each of its letters: two names of distance 1 share one of these."""
    cut = {name[:at] + name[at + 1 :] for at in range(len(name))} if len(name) >= NEAR_FROM else set()
    return {name, *cut}


def is_near(one: str, other: str) -> bool:
    """Tell whether at most one letter is other, more, less, or has changed its place with the next."""
    if one == other:
        return True
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    swapped = a[:2] == b[1::-1] and len(a) > 1 and len(b) > 1 and a[2:] == b[2:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or swapped


def whose(named: Named) -> str:
    """Return a name with the server that it is of."""
    return f"{quote(named[0])} of the server {named[2]}" if named[2] else quote(named[0])


def found(rule: str, severity: Severity, where: str, name: str, why: str) -> Finding:
    """Return one finding about a name."""
    return Finding(
        rule=rule,
        severity=severity,
        where=where,
        why=why,
        remedy="leave one of the two out of the policy, or know which is which",
        quoted=quote(name),
    )
