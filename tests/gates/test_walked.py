"""Every row of the HTTP table and every command names the test that walks it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any, Final

import click
import pytest

from actors.cli.main import program
from helm.surfaces.table import TABLE
from tests.gates.source import ROOT

WALKED: Final[dict[str, dict[str, Any]]] = tomllib.loads(
    (ROOT / "tests" / "journeys" / "walked.toml").read_text(encoding="utf-8")
)

HOW: Final = "add it to tests/journeys/walked.toml, with the test that walks it"


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, by its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from leaves(below, (*words, name))
    else:
        yield " ".join(words), command


COMMANDS: Final = dict(leaves(program))


def test_every_row_names_who_walks_it() -> None:
    assert sorted(TABLE.keys() ^ WALKED["rows"].keys()) == [], HOW


def test_every_command_names_who_walks_it() -> None:
    assert sorted(COMMANDS.keys() ^ WALKED["commands"].keys()) == [], HOW


def elsewhere() -> list[tuple[str, str]]:
    """Return each file that walks something, with what it must say."""
    return sorted({(by[0], by[1]) for part in WALKED.values() for by in part.values() if by != "walk"})


@pytest.mark.parametrize(("file", "words"), elsewhere())
def test_what_walks_it_is_there(file: str, words: str) -> None:
    assert words in (ROOT / file).read_text(encoding="utf-8")
