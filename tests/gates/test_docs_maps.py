"""A map of claims has no row without code and proof, keeps the three classes apart, and promises nothing of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs
import pytest

from tests.gates.source import ROOT
from tests.gates.test_docs_truth import TEST, missing_tests, what_is_wrong

MAP: Final = "docs/public/security-and-trust/index.md"
COMPLIANCE: Final = "docs/public/compliance-mapping.md"
CLASSES: Final = ("runtime control", "operator procedure", "release evidence")
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)#\s]+)\)")
COMMAND: Final = re.compile(r"`((?:helm|just) [^`]+)`")
PROMISED: Final = re.compile(
    r"\b(complian[tc]|complies|certif(?:ied|ies|y|ication)|audit-ready|fulfil\w*|satisf\w+|guarantee\w*)\b",
    re.IGNORECASE,
)
"""Words by which a control becomes somebody's judgement of an organisation."""


@attrs.frozen
class Row:
    """One row of a table, by its columns, under the heading above it."""

    heading: str
    cells: dict[str, str]


def rows(text: str) -> Iterator[Row]:
    """Yield every row of every table of a page."""
    heading, columns = "", list[str]()
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            columns = []
        elif not columns:
            columns = cells
        elif set(line) - set("|-: "):
            yield Row(heading, dict(zip(columns, cells, strict=True)))


def sources(cell: str, page: str) -> list[str]:
    """Return the files of code that a cell links to: no page is one, and no folder."""
    found = [((ROOT / page).parent / target).resolve() for target in LINK.findall(cell)]
    return [str(one) for one in found if one.is_file() and one.suffix != ".md"]


def proofs(cell: str) -> list[str]:
    """Return the tests and commands of a cell, as far as they are there."""
    commands = [one for one in COMMAND.findall(cell) if one.startswith("just ") or not what_is_wrong(one)]
    return [*(name for name, _ in TEST.findall(cell)), *commands] if not missing_tests(cell) else []


def unproved(page: str, text: str) -> list[str]:
    """Return the claims of a page's tables that name no file of code, or nothing that fails without it."""
    return [
        next(iter(row.cells.values()))
        for row in rows(text)
        if "source" in row.cells
        and not (sources(row.cells["source"], page) and proofs(row.cells.get("test or command", "")))
    ]


def said(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [MAP, COMPLIANCE])
def test_every_claim_of_a_map_names_its_code_and_what_fails_without_it(page: str) -> None:
    assert len([row for row in rows(said(page)) if "source" in row.cells]) > 10
    assert unproved(page, said(page)) == []


def test_the_security_map_keeps_the_three_classes_apart() -> None:
    claims = [row for row in rows(said(MAP)) if "claim" in row.cells]
    assert {row.heading.lower().rstrip("s") for row in claims} == set(CLASSES)
    assert all(set(row.cells) == {"claim", "source", "test or command"} for row in claims)


def test_every_control_is_of_one_class_and_every_requirement_is_named() -> None:
    controls = [row.cells for row in rows(said(COMPLIANCE)) if "control" in row.cells]
    assert {one["class"] for one in controls} == set(CLASSES)
    numbers = [row.cells["number"] for row in rows(said(COMPLIANCE)) if "number" in row.cells]
    used = {number.strip() for one in controls for number in one["useful for"].split(",")}
    assert sorted(used) == sorted(numbers)


@pytest.mark.parametrize("page", [MAP, COMPLIANCE])
def test_a_map_promises_nobody_that_they_conform(page: str) -> None:
    own = LINK.sub("", said(page).partition("## What this map does not claim")[0]).replace("# Compliance mapping", "")
    found = [one[0] for one in PROMISED.finditer(own)]
    assert found == [], "say which evidence there is, and leave the judgement to whoever examines it"


@pytest.mark.parametrize("text", ["HELM is SOC 2 compliant", "this satisfies Art. 12", "guaranteed", "certified"])
def test_a_promise_is_seen(text: str) -> None:
    assert PROMISED.search(text)


POISONED: Final = {
    "no file": "| a | chain | `tests/gates/test_pins.py` |",
    "a page instead of code": "| a | [map](index.md) | `tests/gates/test_pins.py` |",
    "a folder": "| a | [helm](../../../helm) | `tests/gates/test_pins.py` |",
    "no test": "| a | [chain](../../../helm/guardian/chain.py) | we looked |",
    "a test that is not there": "| a | [chain](../../../helm/guardian/chain.py) | `tests/gates/test_none.py` |",
    "a command that is not there": "| a | [chain](../../../helm/guardian/chain.py) | `helm no-such` |",
}


@pytest.mark.parametrize("row", POISONED.values(), ids=POISONED)
def test_a_claim_without_its_proof_is_seen(row: str) -> None:
    assert unproved(MAP, f"| claim | source | test or command |\n|---|---|---|\n{row}") == ["a"]


def test_a_claim_with_its_proof_passes() -> None:
    row = "| a | [chain](../../../helm/guardian/chain.py) | `helm doctor` |"
    assert unproved(MAP, f"| claim | source | test or command |\n|---|---|---|\n{row}") == []
