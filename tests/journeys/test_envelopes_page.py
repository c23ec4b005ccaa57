"""The page about envelopes says what really happens: every command of it is run here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from helm.evidence.envelopes.examine import CHECKS, Proved
from helm.evidence.envelopes.kinds import EnvelopeKind
from tests.actors.cli.conftest import Made, made, used
from tests.gates.source import ROOT
from tests.journeys.pages import check_commands, commands

__all__ = ["made", "used"]

PAGE: Final = (ROOT / "docs" / "envelopes.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_command_of_the_page_ends_as_the_page_says(used: Made, tmp_path: Path) -> None:
    key = used.place().evidence_key().public_key
    check_commands(PAGE, tmp_path, HELM_DATA_DIR=str(used.path), LOG_ID=used.log_id, EVIDENCE_KEY=key)


def test_the_page_promises_something() -> None:
    assert len(commands(PAGE)) > 15
    assert {code for _, code in commands(PAGE)} == {0, 1}


@pytest.mark.parametrize("number", range(1, len(CHECKS) + 1))
def test_the_page_names_every_check(number: int) -> None:
    name, check = CHECKS[number - 1]
    promise = (check.__doc__ or "").removesuffix(".")
    assert f"| {number} | `{name}` | {promise[0].lower()}{promise[1:]} |" in PAGE


def test_the_page_names_every_kind_and_whatever_can_be_proved() -> None:
    named = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert sorted(named) == sorted([*map(str, EnvelopeKind), *map(str, Proved)])
