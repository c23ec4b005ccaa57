"""Every decision has its own number, a title that says it, and what it cost."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.gates.source import ROOT

FOLDER: Final = ROOT / "docs" / "adr"
NAME: Final = re.compile(r"(?P<number>\d{4})-[a-z0-9]+(?:-[a-z0-9]+)*\.md")
SECTIONS: Final = ("## Options refused", "## Price paid")


def _findings(folder: Path) -> Iterator[str]:
    paths = sorted(folder.iterdir())
    numbers = Counter(path.name[:4] for path in paths)
    for path in paths:
        match = NAME.fullmatch(path.name)
        text = path.read_text(encoding="utf-8")
        if match is None:
            yield f"{path.name}: not NNNN-title.md"
        elif not text.startswith(f"# {match['number']}. "):
            yield f"{path.name}: its title does not carry its number"
        yield from (f"{path.name}: no section {name!r}" for name in SECTIONS if name not in text)
        if numbers[path.name[:4]] > 1:
            yield f"{path.name}: its number is taken"


def _decision(number: str) -> str:
    return "\n\n".join([f"# {number}. A title", *SECTIONS])


def test_every_decision_is_whole() -> None:
    assert list(_findings(FOLDER)) == []
    assert len(list(FOLDER.iterdir())) >= 2


def test_a_whole_decision_passes(tmp_path: Path) -> None:
    (tmp_path / "0001-a-title.md").write_text(_decision("0001"), encoding="utf-8")
    assert list(_findings(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0001-another.md", _decision("0001")),
        ("notes.md", _decision("0002")),
        ("0002-a-title.md", _decision("0003")),
        ("0002-a-title.md", "# 0002. A title\n\nWe just did it."),
    ],
    ids=["a number taken twice", "a stray file", "another's number", "no price"],
)
def test_the_gate_refuses(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "0001-a-title.md").write_text(_decision("0001"), encoding="utf-8")
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(_findings(tmp_path))
