"""An operator's key and a caller's own have a name each, and each is sent where it belongs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.actors.cli.shell import Ended, helm
from tests.actors.doors.street import Street, open_street
from tests.actors.kit import House
from tests.gates.source import ROOT

OF_CALLERS: Final = [
    ("session", "open", "mine"),
    ("session", "close", "mine"),
    ("approvals", "create", "asking", "--args", "{}", "--session", "night"),
    ("mcp", "authorize-call", "read", "--args", "{}"),
]
OF_OPERATORS: Final = [("connector", "list"), ("receipts", "list"), ("session", "list"), ("key", "list")]


async def say(street: Street, house: House, *words: str, **environment: str) -> Ended:
    """Run a command against the street's kernel."""
    there = ("--server", street.address.url, "--data-dir", str(house.path), "--json")
    return await trio.to_thread.run_sync(partial(helm, *words, *there, **environment))


async def test_with_both_keys_each_command_sends_the_one_that_opens_its_route(tmp_path: Path) -> None:
    house = House.build(tmp_path)
    async with open_street(house) as street:
        keys = {"HELM_ADMIN_KEY": street.admin, "HELM_API_KEY": street.agent}
        for words in (*OF_CALLERS, *OF_OPERATORS):
            ended = await say(street, house, *words, **keys)
            assert ended.code == 0, (words, ended.err)
        theirs = await say(street, house, "session", "list", HELM_API_KEY=street.rival)
        ours = await say(street, house, "session", "list", HELM_API_KEY=street.rival, HELM_ADMIN_KEY=street.admin)
    assert (len(theirs.json()["sessions"]), len(ours.json()["sessions"]) > 0) == (0, True)


async def test_an_operators_key_is_not_sent_where_only_callers_are_known(tmp_path: Path) -> None:
    house = House.build(tmp_path)
    async with open_street(house) as street:
        for words in OF_CALLERS:
            ended = await say(street, house, *words, HELM_ADMIN_KEY=street.admin)
            failure = ended.failure()
            assert failure["code"] == "HTTP_401", words  # none at all: 403 would say that a key came
            assert failure["hint"].startswith("set HELM_API_KEY to the key of whoever makes calls")


@pytest.mark.parametrize("admin", [{}, {"HELM_ADMIN_KEY": ""}])
async def test_one_key_under_the_first_name_opens_what_it_opened(tmp_path: Path, admin: dict[str, str]) -> None:
    house = House.build(tmp_path)
    async with open_street(house) as street:
        operated = await say(street, house, "connector", "list", HELM_API_KEY=street.admin, **admin)
        refused = await say(street, house, "connector", "list", HELM_API_KEY=street.agent, **admin)
    assert operated.code == 0
    assert {"HELM_ADMIN_KEY", "HELM_API_KEY"} <= set(refused.failure()["hint"].split())


@pytest.mark.parametrize("words", [("connector", "list"), ("receipts", "tail"), ("session", "open", "mine")])
@pytest.mark.parametrize("end", ["\n", "\r", "é"])
def test_a_key_with_a_line_end_behind_it_is_said_to_nobody(tmp_path: Path, words: tuple[str, ...], end: str) -> None:
    """A file that was written elsewhere ends its lines otherwise, and a shell leaves half of that in the variable."""
    keys = dict.fromkeys(("HELM_ADMIN_KEY", "HELM_API_KEY"), f"helm_s3cret{end}")
    ended = helm(*words, "--server", "http://127.0.0.1:9", "--data-dir", str(tmp_path / "none"), **keys)
    assert (ended.code, "not one word" in ended.err) == (1, True)
    assert "s3cret" not in ended.out + ended.err


def test_no_agent_is_told_of_the_operators_key() -> None:
    """Scaffolds, and the programs in the pages for agents, read the other name alone."""
    pages = [*(ROOT / "actors/cli/integrate/scaffolds").rglob("*.*"), ROOT / "docs/client.md", ROOT / "docs/stream.md"]
    assert [path for path in pages if path.is_file() and "HELM_ADMIN_KEY" in path.read_text(encoding="utf-8")] == []
