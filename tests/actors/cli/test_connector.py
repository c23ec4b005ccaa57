"""`helm connector list` says why a connector does not serve, and since when."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from actors.connectors.port import Dispatch, Unreachable
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.doors.street import open_street
from tests.actors.kit import House
from tests.actors.puppet import Puppet


def out_of_reach(_: Dispatch) -> JSONValue:
    raise Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, "notes.example:443: ConnectError (Connection refused)")


async def test_a_connector_out_of_reach_is_shown_with_its_reason_and_its_hour(tmp_path: Path) -> None:
    house = House.build(tmp_path)
    there = ("--data-dir", str(house.path))
    async with open_street(house, Puppet(out_of_reach)) as street:
        ask = partial(helm, "connector", "list", *there, "--server", street.address.url, HELM_API_KEY=street.admin)
        before = await trio.to_thread.run_sync(ask)
        await street.call({"tool": "read", "arguments": {}})
        shown = await trio.to_thread.run_sync(ask)
        listed = await trio.to_thread.run_sync(partial(ask, "--json"))
    row = next(one for one in listed.json()["connectors"] if one["name"] == "local")
    assert row["failure"] == "notes.example:443: ConnectError (Connection refused)"
    assert row["failing_since_ms"] >= 0
    lines = [text.splitlines() for text in (before.out, shown.out)]
    assert [next(one for one in text if one.startswith("local")).split()[:2] for text in lines] == [
        ["local", "serves"],
        ["local", "failing"],
    ]
    assert "Z  notes.example:443: ConnectError (Connection refused)" in shown.out


def test_without_a_kernel_nobody_knows_what_is_out_of_reach(used: Made) -> None:
    listed = helm("connector", "list", *used.option, "--json").json()["connectors"]
    assert listed
    assert {(one["failing_since_ms"], one["failure"], one["halted"]) for one in listed} == {(None, "", "")}
