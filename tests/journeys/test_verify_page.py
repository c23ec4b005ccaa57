"""The page that walks a stranger through a verification says what really happens: every command of it is run here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from helm.evidence.verify import CHECKS, promise_of
from tests.actors.cli.conftest import Made, made, used
from tests.gates.source import ROOT

__all__ = ["made", "used"]

PAGE: Final = (ROOT / "docs" / "public" / "reference" / "verify.md").read_text(encoding="utf-8")
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT: Final = re.compile(r"\s+# exit (\d)$")
TIMEOUT_S: Final = 60


def commands() -> list[tuple[str, int]]:
    """Return every command of the page with the exit code that it promises."""
    found = []
    for line in "".join(BLOCK.findall(PAGE)).splitlines():
        said = EXIT.search(line)
        found.append((EXIT.sub("", line), int(said[1]) if said else 0))
    return found


@pytest.mark.slow
def test_every_command_of_the_page_ends_as_the_page_says(used: Made, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HELM_DATA_DIR": str(used.path), "LOG_ID": used.log_id, "HOME": str(tmp_path)}
    for line, code in commands():
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == code, (line, ended.stdout, ended.stderr)
        assert "Traceback" not in ended.stderr


def test_the_page_promises_something() -> None:
    assert len(commands()) > 15
    assert {code for _, code in commands()} == {0, 1, 2}


@pytest.mark.parametrize(("number", "name"), [(number, name) for number, (name, _) in enumerate(CHECKS, 1)])
def test_the_page_names_every_check(number: int, name: str) -> None:
    promise = promise_of(CHECKS[number - 1][1])
    assert f"| {number} | `{name}` | {promise[0].lower()}{promise[1:]} |" in PAGE


def test_the_page_names_no_other_check() -> None:
    assert len(re.findall(r"^\| \d+ \| `", PAGE, re.MULTILINE)) == len(CHECKS)
