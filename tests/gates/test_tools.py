"""The tools hold what we rely on them for: each refuses its poison under the project's own settings."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Final

import pytest

from tests.gates.source import ROOT

LINTED: Final = {
    "an assert that -O removes": ("helm/guardian/poison.py", "S101", "assert 1\n"),
    "a print in an office": ("actors/poison.py", "T201", "print(1)\n"),
    "a time without a zone": ("actors/poison.py", "DTZ005", "import datetime\n\ndatetime.datetime.now()\n"),
    "a relative import": ("helm/guardian/poison.py", "TID252", "from . import chain\n"),
    "a blocking sleep in an office": (
        "actors/poison.py",
        "ASYNC251",
        "import time\n\n\nasync def f() -> None:\n    time.sleep(1)\n",
    ),
    "six parameters": (
        "helm/guardian/poison.py",
        "PLR0913",
        "def f(a: int, b: int, c: int, d: int, e: int, g: int, h: int) -> None: ...\n",
    ),
}

TYPED: Final = {
    "no-untyped-def": "def f(x): return x",
    "no-any-return": "from typing import Any\ndef f(x: Any) -> int: return x",
    "possibly-undefined": "def f(x: int) -> int:\n    if x:\n        y = 1\n    return y",
    "unreachable": "def f(x: int) -> int:\n    if isinstance(x, str):\n        return 1\n    return 2",
    "exhaustive-match": """
from enum import Enum
class Verdict(Enum):
    ALLOW = 1
    DENY = 2
def f(verdict: Verdict) -> None:
    match verdict:
        case Verdict.ALLOW: ...
""",
}


RUFF: Final = ("ruff", "check", "--no-cache", "--output-format=concise", "--stdin-filename")


def _run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", *command]
    return subprocess.run(line, input=text, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("path", "code", "text"), LINTED.values(), ids=LINTED)
def test_ruff_refuses(path: str, code: str, text: str) -> None:
    result = _run("ruff", "check", "--no-cache", "--output-format=concise", "--stdin-filename", path, "-", text=text)
    assert result.returncode == 1
    assert f" {code} " in result.stdout


def test_ruff_wants_one_format() -> None:
    command = ("ruff", "format", "--check", "--no-cache", "--stdin-filename", "helm/poison.py", "-")
    result = _run(*command, text="x=1\n")
    assert result.returncode == 1


def test_mypy_refuses(tmp_path: Path) -> None:
    for code, text in TYPED.items():
        (tmp_path / f"{code.replace('-', '_')}.py").write_text(text, encoding="utf-8")
    result = _run("mypy", "--cache-dir", os.devnull, str(tmp_path))
    assert {code for code in TYPED if f"[{code}]" in result.stdout} == set(TYPED)


def test_a_warning_fails_a_test() -> None:
    with pytest.raises(UserWarning, match="unheeded"):
        warnings.warn("unheeded", stacklevel=1)


def test_plain_pytest_leaves_the_slow_ones_out(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getini("addopts")[-2:] == ["-m", "not slow"]
