"""What commands write: aligned, coloured only where that is seen and wanted, and a bar only where one must wait."""

from __future__ import annotations

import io

import click
import pytest

from actors.cli import show
from actors.cli.bar import Bar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_columns_are_as_wide_as_what_is_seen() -> None:
    cells = (show.verdict("DENY"), "x")
    assert click.unstyle(show.columns(cells, (10, 1))) == "■ DENY      x"


@pytest.mark.parametrize(
    ("identifier", "shown"), [("rcpt_0123456789abcdef", "01234567"), ("0123456789", "01234567"), ("", "")]
)
def test_an_id_is_shown_by_its_first_digits(identifier: str, shown: str) -> None:
    assert show.short(identifier) == shown


def test_a_bar_waits_a_second_before_it_is_seen() -> None:
    terminal = Terminal()
    bar = Bar("reading", out=terminal)
    bar.move(1, 2)
    assert terminal.getvalue() == ""
    bar._next = 0.0
    bar.move(1, 2)
    assert "reading" in terminal.getvalue()
    assert "1 of 2" in terminal.getvalue()
    bar.clear()
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_no_bar_is_drawn_into_a_pipe() -> None:
    pipe = io.StringIO()
    bar = Bar("reading", out=pipe)
    bar._next = 0.0
    bar.move(1, 2)
    bar.clear()
    assert pipe.getvalue() == ""


def test_what_somebody_else_wrote_does_not_paint_the_terminal() -> None:
    assert show.plain("a\x1b[2Jb\u202ec\nd") == "a\\x1b[2Jb\\u202ec\\nd"
    assert show.plain("plain text ●") == "plain text ●"
