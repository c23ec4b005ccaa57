"""The page that follows one call through the house names the files that are there, and what they refuse."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from helm.guardian.chain import ROSTER
from tests.gates.source import ROOT

PAGE: Final = ROOT / "docs" / "life-of-a-call.md"
ROW: Final = re.compile(r"^\| *\d? *\| \[(\w+)\]\((\S+)\) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
CODE: Final = re.compile(r"ReasonCode\.([A-Z_]+)\b")
LINK: Final = re.compile(r"\]\(([^)#]+)\)")


class Row(NamedTuple):
    """One office as the page tells of it."""

    name: str
    path: Path
    codes: list[str]

    def unsaid(self) -> set[str]:
        """The reason codes of the office's file that the page does not name."""
        codes = CODE.findall((ROOT / "docs" / self.path).read_text(encoding="utf-8"))
        return {code for code in codes if not any(fnmatchcase(code, said) for said in self.codes)}


ROWS: Final = [
    Row(name, Path(path), re.findall(r"[A-Z_]+\*?", codes))
    for name, path, codes in ROW.findall(PAGE.read_text(encoding="utf-8"))
]


def test_the_page_lists_the_roster_in_its_order() -> None:
    assert [row.name for row in ROWS] == [office.name for office in ROSTER]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_page_names_every_reason_of_an_office(row: Row) -> None:
    assert row.unsaid() == set()


def test_a_reason_that_is_not_named_is_seen() -> None:
    assert ROWS[-1]._replace(codes=[]).unsaid() == {"APPROVAL_REQUIRED", "BUDGET_EXCEEDED", "BUDGET_ERROR"}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []
