"""The layers of the house are a contract that breaks, in the tree as it is and in any poisoned copy of it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.gates.source import ROOT

LINT: Final = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]

POISONS: Final = {
    "helm imports the hands": ("helm/guardian/poison.py", "import actors", "it knows nothing of actors"),
    "a sibling in the base": ("helm/guardian/poison.py", "import helm.proofgraph", "what is decided"),
    "the base looks up": ("helm/contracts/poison.py", "import helm.evidence", "what is decided"),
    "an office calls a door": ("actors/stores/poison.py", "import actors.doors", "nobody calls back up"),
    "two siblings of the hands": (
        "actors/stores/poison.py",
        "import actors.connectors",
        "nobody calls back up",
    ),
    "an unplaced room in helm": ("helm/annex.py", "'''A room nobody drew.'''", "what is decided"),
    "an unplaced office": ("actors/annex.py", "'''An office nobody drew.'''", "nobody calls back up"),
}


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [*LINT, "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def _copy_of_the_house(target: Path) -> Path:
    for package in ("helm", "actors"):
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def test_the_house_keeps_its_layers() -> None:
    result = _lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("path", "text", "contract"), POISONS.values(), ids=POISONS)
def test_a_poisoned_copy_breaks(path: str, text: str, contract: str, tmp_path: Path) -> None:
    house = _copy_of_the_house(tmp_path)
    (house / path).write_text(text + "\n", encoding="utf-8")
    result = _lint(house)
    assert result.returncode == 1
    assert any(contract in line and "BROKEN" in line for line in result.stdout.splitlines()), result.stdout
