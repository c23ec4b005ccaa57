"""helm budget: what every budget allows, and what is used of it, on a gateway and in a data directory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from tests.actors.cli.shell import Ended, helm
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import build, gateway


async def run(*words: str, **environment: str) -> Ended:
    return await trio.to_thread.run_sync(partial(helm, *words, **environment))


async def test_what_was_spent_is_shown(tmp_path: Path) -> None:
    house = build(tmp_path / "data")
    house.place.policy_path.write_text(POLICY)
    async with gateway(house, house.sign(POLICY), {"local": Puppet(), "other": Puppet()}) as at:
        assert (await at.call("pay", {})).status == 200
        option = ("--data-dir", str(house.place.path), "--server", at.url)
        told = await run("budget", "list", "--json", *option, HELM_API_KEY=house.keys["operator"])
        table = await run("budget", "list", *option, HELM_API_KEY=house.keys["operator"])
        denied = await run("budget", "list", *option, HELM_API_KEY=house.keys["agent"])
    spend = next(one for one in told.json() if one["budget_id"] == "spend")
    assert spend["accounts"] == [
        {"account": "spend", "egress_bytes": 0, "spend_cents": 10, "tool_calls": 1, "write_operations": 1}
    ]
    assert (spend["spend_limit_cents"], spend["subject"]) == (1000, "tool:pay")
    assert "10/1000" in table.out
    assert denied.code == 1


async def test_a_data_directory_without_a_gateway_is_read(tmp_path: Path) -> None:
    house = build(tmp_path / "data")
    house.place.policy_path.write_text(POLICY)
    told = await run("budget", "list", "--json", "--data-dir", str(house.place.path))
    assert [one["budget_id"] for one in told.json()] == ["spend", "few", "writes"]
    assert all(one["accounts"] == [] for one in told.json())
