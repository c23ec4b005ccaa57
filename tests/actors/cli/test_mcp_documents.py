"""What the documents tell people to type is what the command line takes."""

from __future__ import annotations

import re
import shlex
from typing import Final

import click
import pytest

from actors.cli.main import program
from tests.gates.source import ROOT

LINE: Final = re.compile(r"^(?:\$ )?(helm mcp (?:[^\n\\]|\\\n)*)", re.MULTILINE)

TYPED: Final = [
    (name, found)
    for name in ("mcp.md", "mcp-clients.md")
    for found in LINE.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
]


def test_there_is_something_to_type() -> None:
    assert len(TYPED) > 15


@pytest.mark.parametrize(("name", "line"), TYPED, ids=[line[:60] for _, line in TYPED])
def test_a_line_of_a_document_can_be_typed(name: str, line: str) -> None:
    words = shlex.split(line.replace("\\\n", " "), comments=True)[1:]
    command: click.Command | None = program
    context = click.Context(program)
    while isinstance(command, click.Group):
        word = words.pop(0)
        command = command.get_command(context, word)
        assert command is not None, f"{name}: no command {word}"
    assert command is not None
    with command.make_context(command.name, words):
        pass
