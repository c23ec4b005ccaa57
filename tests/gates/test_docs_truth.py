"""What a page names is there: files, sections, tests, and commands with their options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from actors.cli.main import program
from tests.gates.source import ROOT

PAGES: Final = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        ROOT / "CHANGELOG.md",
        ROOT / "llms.txt",
    ]
)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
TEST: Final = re.compile(r"\b(tests/[\w./-]*[\w*](?:\.py)?)(?:::(\w+))?")
TICKED: Final = re.compile(r"`(helm(?:-ai-kernel)? [^`\n]+)`")
BLOCK: Final = re.compile(r"^```(?:sh|bash|console|shell)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED: Final = re.compile(r"^(?:\$ )?(helm(?:-ai-kernel)? .*)$", re.MULTILINE)
TITLE: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
UNREAL: Final = re.compile(r"\.\.\.|[|*<>\[\]{}&;]|\$\(")
"""What no command line holds that is meant as it stands: from there on a page describes."""


def said(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """Return the names of a page's sections, as they are linked to."""
    titles = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", title) for title in TITLE.findall(text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links(text: str, place: Path) -> list[str]:
    """Return the links of a page to a file, or to a section, that is not there."""
    found = []
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, section = target.partition("#")
        file = (place / path).resolve() if path else None
        gone = file is not None and not file.exists()
        if gone or (section and section not in anchors(said(file) if file else text)):
            found.append(target)
    return found


def missing_tests(text: str) -> list[str]:
    """Return the tests that a page names and nobody wrote."""
    found = []
    for path, name in TEST.findall(text):
        file = ROOT / path
        if any(ROOT.glob(path)) and not name:
            continue
        if not file.exists() or (name and not re.search(rf"^(?:async )?def {name}\(", said(file), re.MULTILINE)):
            found.append(f"{path}::{name}" if name else path)
    return found


def typed_in(text: str) -> Iterator[str]:
    """Yield the command lines of a page, each as far as it is meant as it stands."""
    yield from TICKED.findall(text)
    for block in BLOCK.findall(text):
        yield from TYPED.findall(block.replace("\\\n", " "))


def options_of(command: click.Command) -> set[str]:
    """Return the options of a command; of a group that is named without one of its commands, those of any."""
    found = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    if isinstance(command, click.Group):
        below = (
            command.get_command(click.Context(command), name) for name in command.list_commands(click.Context(command))
        )
        found |= {name for one in below if one is not None for name in options_of(one)}
    return found


def what_is_wrong(line: str) -> str:
    """Return why a command line does not run, "" where the command and its options are there."""
    meant = UNREAL.split(line.partition(" # ")[0], maxsplit=1)[0]
    lexer = shlex.shlex(meant, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.quotes = True, "\"'"
    try:
        words = list(lexer)[1:]
    except ValueError:
        return ""  # cut off inside quotes
    command: click.Command = program
    context = click.Context(program)
    while isinstance(command, click.Group) and words and not words[0].startswith("-") and not words[0].isupper():
        found = command.get_command(context, words[0])
        if found is None and not command.invoke_without_command:
            return f"there is no command {words[0]!r}"
        if found is None:
            break
        command, words = found, words[1:]
    known = options_of(command) | {"--help", "-h", "--version"}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"it has no option {unknown[0]}" if unknown and "--" not in words else ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_names_is_there(path: Path) -> None:
    text = said(path)
    wrong = {line: why for line in typed_in(text) if (why := what_is_wrong(line))}
    assert broken_links(text, path.parent) == []
    assert missing_tests(text) == []
    assert wrong == {}


@pytest.mark.parametrize(
    "line",
    ["helm no-such-command", "helm verify PACK --no-such-option", "helm trust no-such X", "helm serve --polixy=x"],
)
def test_a_command_that_is_not_there_is_seen(line: str) -> None:
    assert what_is_wrong(line)


@pytest.mark.parametrize(
    "line", ["helm verify PACK --log-id X", "helm trust add approval --public-key HEX", "helm mcp wrap -- npx --yes it"]
)
def test_a_command_that_is_there_passes(line: str) -> None:
    assert what_is_wrong(line) == ""


def test_a_link_to_nowhere_is_seen() -> None:
    text = "[a](nowhere.md), [b](#no-such), [c](#it-is), [d](README.md#no-such)\n# It is"
    assert broken_links(text, ROOT) == ["nowhere.md", "#no-such", "README.md#no-such"]


def test_a_test_that_nobody_wrote_is_seen() -> None:
    names = "`tests/no_such.py`, `tests/gates/test_docs_truth.py::test_no_such`, tests/gates/test_words.py."
    assert missing_tests(names) == ["tests/no_such.py", "tests/gates/test_docs_truth.py::test_no_such"]
