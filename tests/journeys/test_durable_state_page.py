"""docs/durable-state.md: every command in it runs, in its order, on an installation with calls behind it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

from tests.actors.cli.conftest import Made, made, use
from tests.actors.cli.shell import helm
from tests.counterparts import postgres
from tests.counterparts.postgres import database_of
from tests.gates.source import ROOT

__all__ = ["made"]

PAGE = ROOT / "docs" / "durable-state.md"
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_HERE = frozenset({"serve"})
"""It serves until it is ended: tests/journeys/test_demo.py serves."""


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of each `helm` on the page."""
    for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for line in block.splitlines():
            words = shlex.split(line)
            if words[0] == "helm" and words[1] not in NOT_HERE:
                yield tuple(words[1:])


def run(words: tuple[str, ...], place: Path, **environment: str) -> None:
    """Run one command, with a test's own folder in the place of the page's; where > stands, keep what it writes."""
    here = [word.replace("/backups", str(place)).replace("/elsewhere", str(place)) for word in words]
    kept = ""
    if ">" in here:
        *here, _, kept = here
    ended = helm(*here, **environment)
    assert ended.code == 0, (words, ended.out, ended.err)
    if kept:
        Path(kept).write_text(ended.out, encoding="utf-8")


def test_every_command_of_the_page_runs_in_its_order(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.path.rename(tmp_path / "helm-data")
    trio.run(use, attrs.evolve(made, path=tmp_path / "helm-data"))
    monkeypatch.chdir(tmp_path)
    page = list(commands())
    assert {words[0] for words in page} == {"backup", "boundary", "checkpoint", "doctor", "restore"}
    for words in page:
        run(words, tmp_path)
    assert helm("receipts", "verify", "--data-dir", "restored").code == 0


@pytest.mark.slow
@pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)
def test_the_page_holds_on_a_database_too(made: Made, tmp_path: Path) -> None:
    url = database_of(tmp_path).url
    with (made.path / "helm.toml").open("a") as settings:
        settings.write(f'\ndatabase_url = "{url}"\n')
    trio.run(use, made)
    for words in (("doctor",), ("boundary", "surfaces"), ("backup", str(tmp_path / "monday"))):
        run((*words, *made.option), tmp_path, DATABASE_URL=url)
    run(("restore", "--check", str(tmp_path / "monday")), tmp_path)
