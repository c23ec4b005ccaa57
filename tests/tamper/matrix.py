"""Every way to tamper with every file and every field of a pack: always the same cases in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import attrs
import orjson

from helm.crypto.canonical import canonical, reread
from helm.evidence.layout import FRONTIER, MANIFEST, NODES, SNAPSHOT
from tests.helm.evidence.forger import Members, a_pack, packed, resealed, unpacked
from tests.helm.evidence.hosts import a_watched_pack

MEMBERS: Final = unpacked(a_watched_pack(a_pack()))
OTHERS: Final = unpacked(a_pack("s2"))
PATHS: Final = sorted(MEMBERS)

REFUSED_BY: Final = {
    "checkpoints": "checkpoints",
    "facts": "seals",
    "host_evidence": "host",
    "inclusion": "inclusion",
    "manifest.json": "manifest",
    "policy": "policies",
    "receipts": "receipts",
    "records": "nodes",
    "schemas": "versions",
    "trust": "nodes",
    FRONTIER: "nodes",
    NODES: "nodes",
    SNAPSHOT: "trust",
}
"""The check that must refuse a changed field, by file or folder."""

Place = tuple[str | int, ...]
"""Where in a file a field stands: names and numbers, from the outside in."""


@attrs.frozen
class Case:
    """One thing done to one field of one file."""

    path: str
    what: str
    place: Place
    content: bytes = attrs.field(repr=False)

    def pack(self) -> bytes:
        """Return the pack with the changed file: under a true manifest, where that is not the file itself."""
        members: Members = MEMBERS | {self.path: self.content}
        return packed(members) if self.path == MANIFEST else resealed(members)

    def check(self) -> str:
        """Return the name of the check that must refuse it."""
        if self.path == MANIFEST and self.place == ("signature",) and self.what == "changed":
            return "signature"
        if self.path == NODES and self.what == "dropped" and self.is_last_outcome():
            return "receipts"  # no node stands on it: what misses it is its receipt
        return REFUSED_BY.get(self.path) or REFUSED_BY[self.path.partition("/")[0]]

    def is_last_outcome(self) -> bool:
        """Tell whether the place is the line of the session's last node."""
        nodes = [reread(line) for line in MEMBERS[NODES].splitlines()]
        last = max(number for number, node in enumerate(nodes) if node["session_id"])
        return self.place == (last,)


def cases(path: str) -> Iterator[Case]:
    """Yield every case of one file."""
    raw = MEMBERS[path]
    if path.endswith(".jsonl"):
        value, write = [reread(line) for line in raw.splitlines()], lines
    else:
        value, write = reread(raw), document
    theirs = counterpart(path)
    for place in places(value):
        for what, changed in changes(value, place, theirs):
            content = write(changed)
            if content != raw:
                yield Case(path, what, place, content)


@cache
def counterpart(path: str) -> Any:
    """Return the value of the other session's file that stands where this one does, None where it has none."""
    folder = path.rpartition("/")[0]
    mine, theirs = [[one for one in files if one.startswith(folder)] for files in (PATHS, sorted(OTHERS))]
    number = mine.index(path)
    if number >= len(theirs) or path.endswith(".jsonl"):
        return None
    return reread(OTHERS[theirs[number]])


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Yield the place of every value in a value, itself first."""
    yield here
    if type(value) is dict:
        for name in value:
            yield from places(value[name], (*here, name))
    elif type(value) is list:
        for number, item in enumerate(value):
            yield from places(item, (*here, number))


def changes(value: Any, place: Place, theirs: Any) -> Iterator[tuple[str, Any]]:
    """Yield what can be done to the value at a place, and the whole value after it."""
    found = at(value, place)
    if type(found) is dict:
        yield "added to", put(value, place, found | {"zz": "evil"})
        yield "named twice", put(value, place, Doubled(found))
        yield "in another order", put(value, place, Reversed(found))
    elif type(found) is list:
        yield "emptied", put(value, place, [])
        yield "reversed", put(value, place, found[::-1])
        yield "doubled", put(value, place, [*found, *found[-1:]])
    elif type(found) is str:
        yield "changed", put(value, place, found[:-1] + ("0" if found[-1:] != "0" else "1"))
    elif type(found) is bool:
        yield "changed", put(value, place, not found)
    elif found is not None:
        yield "changed", put(value, place, found - 1)
    yield "of no type", put(value, place, None if found is not None else False)
    if place:
        yield "dropped", dropped(value, place)
        if has(theirs, place):
            yield "of another session", put(value, place, at(theirs, place))


class Doubled(dict[str, Any]):
    """An object whose last member is written twice."""


class Reversed(dict[str, Any]):
    """An object that is written from its last member to its first."""


def at(value: Any, place: Place) -> Any:
    """Return the value at a place."""
    for step in place:
        value = value[step]
    return value


def has(value: Any, place: Place) -> bool:
    """Tell whether there is a value at a place."""
    try:
        at(value, place)
    except (IndexError, KeyError, TypeError):
        return False
    return True


def put(value: Any, place: Place, new: Any) -> Any:
    """Return the value with another one at a place."""
    if not place:
        return new
    copied = value.copy()
    copied[place[0]] = put(value[place[0]], place[1:], new)
    return copied


def dropped(value: Any, place: Place) -> Any:
    """Return the value without what stands at a place."""
    parent = at(value, place[:-1]).copy()
    del parent[place[-1]]
    return put(value, place[:-1], parent)


def document(value: Any) -> bytes:
    """Return one JSON text: canonical, but for objects that are written oddly on purpose."""
    match value:
        case Doubled():
            last = [f"{orjson.dumps(name).decode()}:{document(item).decode()}" for name, item in value.items()][-1:]
            return b"{" + ",".join([*members_of(value), *last]).encode() + b"}"
        case Reversed():
            return b"{" + ",".join(members_of(value)[::-1]).encode() + b"}"
        case dict():
            return b"{" + ",".join(members_of(dict(sorted(value.items())))).encode() + b"}"
        case list():
            return b"[" + b",".join(map(document, value)) + b"]"
        case _:
            return canonical(value)


def members_of(value: dict[str, Any]) -> list[str]:
    """Return the members of an object, written in its own order."""
    return [f"{canonical(name).decode()}:{document(item).decode()}" for name, item in value.items()]


def lines(value: Any) -> bytes:
    """Return a list of values as lines."""
    return b"".join(document(item) + b"\n" for item in value) if isinstance(value, list) else document(value) + b"\n"
