"""The page on connectors names every kind, and its program does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from helm.guardian.connection import ConnectorKind
from tests.actors.cli.shell import helm
from tests.gates.source import ROOT
from tests.journeys.test_readme_example import PROGRAM

PAGE: Final = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")


def test_the_program_of_the_page_prints_what_the_page_says(tmp_path: Path) -> None:
    (program,) = PROGRAM.findall(PAGE)
    (tmp_path / "shelf.py").write_text(program, encoding="utf-8")
    assert helm("init", str(tmp_path / "shelf-data")).code == 0
    line = [sys.executable, "shelf.py"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    said = re.findall(r"`((?:SUCCESS|FAILED) [^`]+)`", PAGE.partition("it prints")[2].partition("\n")[0])
    assert len(said) == 3
    assert ended.stdout.splitlines() == said


def test_the_page_names_every_kind_and_no_other() -> None:
    named = re.findall(r"^\| `([a-z]+)` \|", PAGE.partition("## The kinds")[2].partition("## One")[0], re.MULTILINE)
    assert sorted(named) == sorted(kind.value for kind in ConnectorKind)
