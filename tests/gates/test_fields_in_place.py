"""A record that is made by the places of its fields names each field beside its value, in the order of its class.

Python hands over more than fifteen names by way of a dictionary, which takes longer than the record: the belt's widest
records are made by place. Two of their texts that change places would stand in evidence under each other's names.
"""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from helm.contracts.decision import Decision
from helm.contracts.form import Noun
from helm.contracts.receipt import Receipt
from helm.contracts.record import BoundaryRecord
from helm.guardian.judgement import CallFacts
from helm.guardian.world import World, WorldFacts
from tests.gates.source import ROOT

WIDE: Final[tuple[type[Noun], ...]] = (BoundaryRecord, CallFacts, Decision, Receipt, World, WorldFacts)

BESIDE = re.compile(r",  # (\w+)$")


class Small(Noun, frozen=True):
    """A record to be made wrong."""

    first: str
    second: str


POISONS: Final = {
    "two that changed places": "Small(\n    b,  # second\n    a,  # first\n)",
    "one that is missing": "Small(\n    a,  # first\n)",
    "one without a name": "Small(\n    a,  # first\n    b,\n)",
    "all on one line": "Small(a, b)",
    "the rest by name": "Small(\n    a,  # first\n    second=b,\n)",
    "out of a tuple": "Small(*both)",
    "through its module": "contracts.Small(a, b)",
}

CLEAN: Final = {
    "each beside its name": "Small(\n    a,  # first\n    b if c else d,  # second\n)",
    "over two lines": "Small(\n    f(\n        a\n    ),  # first\n    b,  # second\n)",
    "all by name": "Small(first=a, second=b)",
    "read back": "Small(**said)",
}


def made_by_place(text: str, record: type[Noun]) -> list[ast.Call]:
    """Return where a record of this class is made with anything but names."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and node.args]
    return [call for call in calls if name_of(call.func) == record.__name__]


def name_of(function: ast.expr) -> str:
    """Return the last name of what is called, "" for what has none."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def misplaced(text: str, record: type[Noun]) -> list[int]:
    """Return the lines of those that do not name every field, in order, each beside its value."""
    lines, fields = text.splitlines(), [*record.__struct_fields__]
    return [call.lineno for call in made_by_place(text, record) if named(call, lines) != fields]


def named(call: ast.Call, lines: list[str]) -> list[str]:
    """Return the names beside the values, "" where there is none."""
    ends = [lines[value.end_lineno - 1] for value in call.args if value.end_lineno is not None]
    return [found[1] if (found := BESIDE.search(end)) else "" for end in ends]


@pytest.mark.parametrize("text", POISONS.values(), ids=POISONS)
def test_the_gate_refuses(text: str) -> None:
    assert misplaced(text, Small)


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_the_gate_lets_in(text: str) -> None:
    assert not misplaced(text, Small)


@pytest.mark.parametrize("record", WIDE, ids=lambda record: record.__name__)
def test_wide_records_name_their_fields(record: type[Noun]) -> None:
    paths = [path for package in ("helm", "actors") for path in (ROOT / package).rglob("*.py")]
    texts = {path: text for path in paths if f"{record.__name__}(" in (text := path.read_text(encoding="utf-8"))}
    made = {path: text for path, text in texts.items() if made_by_place(text, record)}
    assert made  # else this gate looks at nothing
    assert {show(path): lines for path, text in made.items() if (lines := misplaced(text, record))} == {}


def show(path: Path) -> str:
    """Return a path as it is known in the tree."""
    return str(path.relative_to(ROOT))
