"""No value in any file of a pack breaks a verifier or is believed, and both verifiers see the same thing wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest

from helm.evidence.layout import MANIFEST, SCRIPT
from helm.evidence.verify import CHECKS
from tests.helm.evidence.forger import Members, a_pack, check_refused, packed, resealed, unpacked

ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 2**63, 1.5, "", "x", "sha256:" + "0" * 64, "\U0001f600", "é"),
    *([], ["x"], [1], [[]], {}, {"x": 1}, {"é": 1}),
)
NAMES: Final = tuple(name for name, _ in CHECKS)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside a JSON value."""
    if place:
        yield place
    steps = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    for step, child in steps:
        yield from places(child, (*place, step))


def mutate(value: Any, chance: Random) -> Any:
    """Put something odd into a JSON value, take something out, or add something."""
    ways = list(places(value))
    if not ways:
        return chance.choice(ODD)
    *way, last = chance.choice(ways)
    parent = value
    for step in way:
        parent = parent[step]
    match chance.choice(("set", "set", "take", "add")):
        case "set":
            parent[last] = chance.choice(ODD)
        case "take":
            del parent[last]
        case _ if type(parent) is dict:
            parent[chance.choice(("evil", "aaa", "zzz", "é"))] = chance.choice(ODD)
        case _:
            parent.insert(last, chance.choice(ODD))
    return value


def dumped(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def changed(raw: bytes, path: str, chance: Random) -> bytes:
    """Return the file with one value in it changed."""
    if not path.endswith(".jsonl"):
        return dumped(mutate(json.loads(raw), chance))
    lines = raw.splitlines()
    number = chance.randrange(len(lines))
    lines[number] = dumped(mutate(json.loads(lines[number]), chance))
    return b"".join(line + b"\n" for line in lines)


def hostile(members: Members, chance: Random) -> bytes:
    """Return a pack that an insider with the evidence key made of another."""
    path = chance.choice(sorted(members.keys() - {SCRIPT}))
    forged = members | {path: changed(members[path], path, chance)}
    if forged == members:
        return hostile(members, chance)
    return packed(forged) if path == MANIFEST else resealed(forged)


@pytest.mark.parametrize("seed", range(6))
def test_an_odd_value_anywhere_is_refused_by_both_verifiers_alike(seed: int) -> None:
    chance = Random(seed)
    for _ in range(20):
        check_refused(hostile(unpacked(a_pack()), chance), *NAMES)
