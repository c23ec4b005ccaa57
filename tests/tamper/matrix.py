"""Every way to tamper with every file and every field of a pack: always the same cases in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import attrs
import orjson

from helm.crypto.canonical import canonical, reread
from helm.crypto.domains import KeyPurpose
from helm.evidence.condense import Condensed, condense
from helm.evidence.condensed import COLD
from helm.evidence.layout import FACTS, FRONTIER, MANIFEST, SCRIPT, SNAPSHOT
from helm.evidence.scope import RANGE, WHOLE
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack
from tests.helm.evidence.forger import (
    NODE_LINES,
    Members,
    a_log,
    a_pack,
    pack_of,
    pack_of_scope,
    packed,
    refusing_check,
    refusing_check_of_script,
    resealed,
    root_of,
    unpacked,
)
from tests.helm.evidence.hosts import a_watched_pack
from tests.helm.evidence.material import Log
from tests.helm.evidence.risky import covered_log, run

REFUSED_BY: Final = {
    "checkpoints": ("checkpoints",),
    "condensed/cold.json": ("condensed",),
    "condensed/leaves.jsonl": ("receipts", "chain", "complete", "inclusion", "checkpoints", "condensed"),
    "facts": ("seals",),
    "host_evidence": ("host",),
    "inclusion": ("inclusion",),
    "manifest.json": ("manifest",),
    "policy": ("policies",),
    "receipts": ("receipts",),
    "records": ("nodes",),
    "schemas": ("versions",),
    "trust": ("nodes",),
    FRONTIER: ("nodes",),
    NODE_LINES: ("nodes",),
    SNAPSHOT: ("trust",),
}
"""The check that must refuse a changed field, by file or folder: for a leaf it is another one for each member."""


@attrs.frozen(eq=False)
class Target:
    """A pack that is tampered with, and another one like it to take things from."""

    members: Members = attrs.field(repr=False)
    others: Members = attrs.field(repr=False)
    root: TrustRoot

    @property
    def files(self) -> list[str]:
        """Return every file but the script: that is a program, of which any other bytes are another one."""
        return [path for path in sorted(self.members) if path != SCRIPT]


def target_of(log: Log, pack: bytes, other: bytes) -> Target:
    """Return a pack of a log as a target."""
    return Target(unpacked(pack), unpacked(other), root_of(log))


@cache
def covered() -> Log:
    """Return the log of the condensed pack. Nobody changes it."""
    return covered_log()


def condensed_of(log: Log) -> Condensed:
    """Return the condensed pack of a log's first session, and its cold file."""
    return condense(check_pack(pack_of(log), root_of(log)), log.key(KeyPurpose.EVIDENCE))


@cache
def target(kind: str) -> Target:
    """Return the pack of a kind."""
    log = a_log()
    match kind:
        case "session":
            return target_of(log, a_watched_pack(a_pack()), a_pack("s2"))
        case "redacted":
            return target_of(log, pack_of(log, redact_facts=True), pack_of(log, "s2", redact_facts=True))
        case "range":
            return target_of(log, pack_of_scope(log, RANGE, 1, log.now_ms), a_pack("s2"))
        case "whole":
            return target_of(log, pack_of_scope(log, WHOLE), a_pack("s2"))
        case "condensed":
            longer = covered_log()
            run(longer, "T0")
            longer.checkpoint()
            return target_of(covered(), condensed_of(covered()).pack, condensed_of(longer).pack)
        case _:
            raise AssertionError(kind)


KINDS: Final = ("condensed", "range", "redacted", "session", "whole")

Place = tuple[str | int, ...]
"""Where in a file a field stands: names and numbers, from the outside in."""


@attrs.frozen
class Case:
    """One thing done to one field of one file."""

    target: Target = attrs.field(repr=False)
    path: str
    what: str
    place: Place
    content: bytes = attrs.field(repr=False)

    def pack(self) -> bytes:
        """Return the pack with the changed file: under a true manifest, where that is not the file itself."""
        members: Members = self.target.members | {self.path: self.content}
        return packed(members) if self.path == MANIFEST else resealed(members)

    def checks(self) -> tuple[str, ...]:
        """Return the names of the checks of which one must refuse it."""
        if self.path == MANIFEST and self.place == ("signature",) and self.what in ("changed", "of another session"):
            return ("signature",)
        if self.path == NODE_LINES and self.what == "dropped" and self.is_last_outcome():
            return ("receipts", "nodes")  # no node stands on it: what misses it is its receipt, or the whole log
        if self.what == "left blank" and self.path.startswith(FACTS):
            return ("complete",)  # that facts were left out, only the manifest says
        return REFUSED_BY.get(self.path) or REFUSED_BY[self.path.partition("/")[0]]

    def is_condensers_word(self) -> bool:
        """Tell whether it is another hash of the cold file, or of what is in it: only who has that file can tell."""
        is_hash = self.place in (("cold_hash",), ("manifest_hash",))
        return self.path == COLD and is_hash and self.what in ("changed", "of another session")

    def is_last_outcome(self) -> bool:
        """Tell whether the place is the line of a session's last node."""
        last: dict[str, int] = {}
        for number, line in enumerate(self.target.members[NODE_LINES].splitlines()):
            last[reread(line)["session_id"]] = number
        return self.place in {(number,) for session, number in last.items() if session}

    def refused(self) -> tuple[str, str]:
        """Return the checks of both verifiers that refuse it, "" where one does not."""
        pack, root = self.pack(), self.target.root
        return refusing_check(pack, root), refusing_check_of_script(pack, root)


def cases(of: Target, path: str) -> Iterator[Case]:
    """Yield every case of one file."""
    raw = of.members[path]
    if path.endswith(".jsonl"):
        value, write = [reread(line) if line else BLANK for line in raw.splitlines()], lines
        for number in range(len(value)):
            content = lines([*value[:number], BLANK, *value[number + 1 :]])
            if content != raw:
                yield Case(of, path, "left blank", (number,), content)
    else:
        value, write = reread(raw), document
    theirs = counterpart(of, path)
    for place in places(value):
        for what, changed in changes(value, place, theirs):
            content = write(changed)
            if content != raw:
                yield Case(of, path, what, place, content)


def counterpart(of: Target, path: str) -> Any:
    """Return the value of the other pack's file that stands where this one does, None where it has none."""
    folder = path.rpartition("/")[0]
    mine, theirs = [[one for one in sorted(files) if one.startswith(folder)] for files in (of.members, of.others)]
    number = mine.index(path)
    if number >= len(theirs) or path.endswith(".jsonl") or theirs[number].endswith(".jsonl"):
        return None
    return reread(of.others[theirs[number]])


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
    if found is BLANK:
        yield "changed", put(value, place, {"zz": "evil"})
    elif type(found) is dict:
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


class Blank:
    """A line of nothing: what was left out, or condensed, and stands in another place."""


BLANK: Final = Blank()


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
        case Blank():
            return b""
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
