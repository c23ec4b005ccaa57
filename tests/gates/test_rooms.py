"""The page on architecture names every room of the house in the room's own words, and no other."""

from __future__ import annotations

import ast
import re
from typing import Final

import pytest

from tests.gates.source import ROOT

PAGE: Final = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROOMS: Final = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for top in ("helm", "actors")
    for path in (ROOT / top).glob("*/__init__.py")
)


def words_of(room: str) -> str:
    """Return what a room says of itself in its first line, without the full stop."""
    said = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].removesuffix(".")


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_names_a_room_in_its_own_words(room: str) -> None:
    assert words_of(room)
    assert f"| `{room}/` | {words_of(room)} |" in PAGE


def test_the_page_names_no_other_room() -> None:
    assert sorted(re.findall(r"^\| `((?:helm|actors)/\w+)/` \|", PAGE, re.MULTILINE)) == ROOMS
