"""A message that a page quotes is one that the program says: `"like ... this"`, dots for what differs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import pytest

from tests.gates.source import ROOT, Source, from_text, sources_under

PAGES: Final = ("docs/public/troubleshooting.md", "docs/public/operator-runbook.md")
QUOTED: Final = re.compile(r'`"([^`"]+)"`')
DIFFERS: Final = "..."
LEAST: Final = 4
"""Letters that a quotation has at least beside its dots: fewer would be found in anything."""


def said_in(source: Source) -> Iterator[str]:
    """Yield every text that a module can say, with a line break for what is put in; docstrings say nothing."""
    documents = {id(node.value) for node in source.nodes if isinstance(node, ast.Expr)}
    for node in source.nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "\n" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.value


@cache
def said() -> str:
    """Return all that the program can say."""
    return "\0".join(text for room in ("helm", "actors") for one in sources_under(room) for text in said_in(one))


def is_said(message: str) -> bool:
    """Tell whether the program says this, in one text."""
    pieces = [re.escape(piece) for piece in message.split(DIFFERS)]
    return len("".join(message.split(DIFFERS))) >= LEAST and re.search("[^\0]{0,200}?".join(pieces), said()) is not None


@pytest.mark.parametrize("page", PAGES)
def test_every_message_of_a_page_is_one_of_the_program(page: str) -> None:
    quoted = QUOTED.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [message for message in quoted if not is_said(message)] == []


def test_the_page_of_messages_quotes_some() -> None:
    assert len(QUOTED.findall((ROOT / PAGES[0]).read_text(encoding="utf-8"))) > 40


@pytest.mark.parametrize(
    "message",
    ["the journal is quite all right", "...", "mode ... lets others at the moon", "the kernel ...no such end"],
)
def test_a_message_that_nothing_says_is_seen(message: str) -> None:
    assert not is_said(message)


def test_what_a_docstring_says_is_no_message() -> None:
    assert list(said_in(from_text("a", 'def f():\n    "only described"\n    return f"{f} said"'))) == [
        "\n said",
        " said",
    ]
