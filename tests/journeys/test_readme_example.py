"""What the README shows is what happens: its program is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from actors.cli.main import COMMANDS
from tests.actors.cli.shell import helm
from tests.gates.source import ROOT

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\]\(([^)#]+)\)")


@pytest.fixture
def printed(tmp_path: Path) -> list[str]:
    """Return what the README's program prints beside a fresh data directory."""
    (program,) = PROGRAM.findall(README)
    (tmp_path / "notes.py").write_text(program, encoding="utf-8")
    assert helm("init", str(tmp_path / "notes-data")).code == 0
    line = [sys.executable, "notes.py"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_the_program_in_the_readme_does_what_the_readme_says(printed: list[str], tmp_path: Path) -> None:
    allowed, refused = printed
    assert allowed.startswith("ALLOW the note of monday rcpt_")
    assert refused.startswith("DENY MISSING_REQUIREMENT rcpt_")
    receipts = helm("receipts", "list", "--json", "--data-dir", str(tmp_path / "notes-data")).json()
    assert [line.split()[-1] for line in printed] == [receipt["receipt_id"] for receipt in receipts]


def test_every_command_in_the_readme_is_there() -> None:
    named = set(re.findall(r"\bhelm ([a-z]+)\b", README))
    assert named <= COMMANDS.keys()
    assert {"demo", "init", "serve", "receipts", "evidence", "verify", "policy", "freeze", "doctor"} <= named


def test_every_link_leads_somewhere() -> None:
    targets = LINK.findall(README)
    assert targets
    assert all((ROOT / target).exists() for target in targets if "://" not in target)
