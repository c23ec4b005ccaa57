"""What the README tells a newcomer to type is what CI types."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.gates.source import ROOT

COMMANDS: Final = ("pip install -e . && helm demo", "pip install -e '.[test]' && pytest")
TYPED: Final = re.compile(r'^typed "(.*)"$', re.MULTILINE)
FENCE: Final = re.compile(r"^```(?:sh|bash|console)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def _typed(readme: str) -> list[str]:
    """The install commands a README shows, in order, without prompt or trailing comment."""
    lines = [line for block in FENCE.finditer(readme) for line in block["body"].splitlines()]
    bare = [re.sub(r"\s+#.*$", "", line.removeprefix("$ ")).strip() for line in lines]
    return [line for line in bare if line.startswith("pip install")]


def test_ci_runs_the_commands_of_the_readme_then_the_whole_check() -> None:
    typed = _typed((ROOT / "README.md").read_text(encoding="utf-8"))
    assert tuple(typed) == COMMANDS
    assert TYPED.findall((ROOT / ".ci" / "run").read_text(encoding="utf-8")) == [*typed, "just check"]


@pytest.mark.parametrize("fails", ["pip", "helm", "pytest", "just"])
def test_ci_fails_when_any_command_does(fails: str, tmp_path: Path) -> None:
    """The true script, over commands that only say how they end."""
    _stub(tmp_path / "bin" / "python3", 'mkdir -p "$3/bin" && touch "$3/bin/activate"')
    for command in ("pip", "helm", "pytest", "just"):
        _stub(tmp_path / "bin" / command, f"exit {int(command == fails)}")
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    run = subprocess.run(["bash", ROOT / ".ci" / "run"], env={"PATH": path}, capture_output=True, check=False)
    assert run.returncode == 1


def _stub(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    "readme",
    [
        "Type `pip install -e . && helm demo`.",
        "```sh\npip install -e . && helm demo\n```",
        "```sh\npip install helm-kernel && helm demo\npip install -e '.[test]' && pytest\n```",
    ],
    ids=["not in a block", "one is missing", "another command"],
)
def test_another_readme_is_seen(readme: str) -> None:
    assert tuple(_typed(readme)) != COMMANDS


def test_comments_beside_a_command_are_not_part_of_it() -> None:
    readme = "```sh\npip install -e . && helm demo  # ten seconds\n$ pip install -e '.[test]' && pytest\n```"
    assert tuple(_typed(readme)) == COMMANDS
