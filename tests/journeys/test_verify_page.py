"""The page that walks a stranger through a verification says what really happens: every command of it is run here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from helm.evidence.verify import CHECKS, promise_of
from tests.actors.cli.conftest import Made, made, used
from tests.gates.source import ROOT
from tests.journeys.pages import check_commands, commands

__all__ = ["made", "used"]

PAGE: Final = (ROOT / "docs" / "public" / "reference" / "verify.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_command_of_the_page_ends_as_the_page_says(used: Made, tmp_path: Path) -> None:
    key = used.place().execution_key().public_key
    check_commands(PAGE, tmp_path, HELM_DATA_DIR=str(used.path), LOG_ID=used.log_id, EXECUTION_KEY=key)


def test_the_page_says_where_the_execution_key_comes_from(used: Made, tmp_path: Path) -> None:
    [line] = [line for line, _ in commands(PAGE) if line.startswith("EXECUTION_KEY=")]
    expected = used.place().execution_key().public_key
    check_commands(
        f'```sh\n{line}; [ "$EXECUTION_KEY" = "$EXPECTED" ]\n```\n',
        tmp_path,
        HELM_DATA_DIR=str(used.path),
        EXPECTED=expected,
    )


def test_the_page_promises_something() -> None:
    assert len(commands(PAGE)) > 15
    assert {code for _, code in commands(PAGE)} == {0, 1, 2}


@pytest.mark.parametrize(("number", "name"), [(number, name) for number, (name, _) in enumerate(CHECKS, 1)])
def test_the_page_names_every_check(number: int, name: str) -> None:
    promise = promise_of(CHECKS[number - 1][1])
    assert f"| {number} | `{name}` | {promise[0].lower()}{promise[1:]} |" in PAGE


def test_the_page_names_no_other_check() -> None:
    assert len(re.findall(r"^\| \d+ \| `", PAGE, re.MULTILINE)) == len(CHECKS)
