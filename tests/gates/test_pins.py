"""What was tested is what runs: every dependency is exact, and the lock holds all they bring along."""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.gates.source import ROOT

EXACT: Final = re.compile(r"[A-Za-z0-9._-]+(?:\[[a-z,]+\])?==[0-9][0-9a-z.]*(?:\s*;.*)?")
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT: Final[list[str]] = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]


def _loose(requirements: Iterable[str]) -> list[str]:
    return [text for text in requirements if not EXACT.fullmatch(text)]


def _pins(lines: Iterable[str]) -> dict[str, str]:
    pairs = [line.split("==") for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(name): pinned.strip() for name, pinned in pairs}


LOCK: Final = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_every_direct_dependency_is_exact() -> None:
    assert _loose(DIRECT) == []


@pytest.mark.parametrize("loose", ["trio", "trio>=0.35", "trio==0.35.*", "trio~=0.35", "trio @ file:///trio"])
def test_a_loose_dependency_is_seen(loose: str) -> None:
    assert _loose([loose])


def test_the_lock_is_exact() -> None:
    assert _loose(line for line in LOCK if line and not line.startswith("#")) == []


def _doubled(lines: Iterable[str]) -> list[str]:
    names = [canonicalize_name(line.split("==")[0]) for line in lines if line.strip() and not line.startswith("#")]
    return sorted({name for name in names if names.count(name) > 1})


def test_nothing_stands_in_the_lock_twice() -> None:
    assert _doubled(LOCK) == []


def test_a_doubled_line_is_seen() -> None:
    assert _doubled(["# note", "urllib3==2.7.0", "trio==0.35.0", "URLLib3==2.8.0"]) == ["urllib3"]


def test_the_lock_agrees_with_the_project() -> None:
    pins, direct = _pins(LOCK), _pins(DIRECT)
    assert {name: pins.get(name) for name in direct} == direct


def test_the_lock_holds_all_that_the_dependencies_bring_along() -> None:
    assert _unlocked(_pins(LOCK)) == set()


def test_a_hole_in_the_lock_is_seen() -> None:
    assert _unlocked({name: pin for name, pin in _pins(LOCK).items() if name != "sniffio"}) == {"sniffio"}


def _unlocked(pins: dict[str, str]) -> set[str]:
    """What the locked versions need on this interpreter and the lock does not hold."""
    waiting, seen = [Requirement(text) for text in DIRECT], set[tuple[str, str]]()
    while waiting:
        needed = waiting.pop()
        for extra in ("", *needed.extras):
            key = (canonicalize_name(needed.name), extra)
            if key not in seen:
                seen.add(key)
                waiting += _needs(key[0], extra, pins)
    return {name for name, _ in seen} - pins.keys()


def _needs(name: str, extra: str, pins: dict[str, str]) -> list[Requirement]:
    """What a distribution brings along; of another version than the lock's nothing is known."""
    try:
        lines = (requires(name) or []) if version(name) == pins.get(name) else []
    except PackageNotFoundError:
        return []
    needs = [Requirement(line) for line in lines]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
