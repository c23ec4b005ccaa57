"""An agent is launched behind the tier that the policy demands, or not at all (T10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.connectors.launch.connector import LaunchConnector
from actors.connectors.port import ConnectorFailed, ConnectorUnknown, Dispatch, Kept, NotDispatched
from helm.contracts.reason import ReasonCode
from tests.actors.connectors.launch.engines import Bench, bench
from tests.actors.connectors.orders import order as order_of
from tests.helm.launch.answers import AWAY, docker
from tests.helm.launch.test_substrate import BUNDLE, loaded


def order(operation: str = "run", name: Any = "a", **more: Any) -> Dispatch:
    """Return an order for the agent of the bundle."""
    filled = {"tool": "launch", "connector": "agent", "sandbox_grant_hash": loaded().grant_hash} | more
    return order_of({"name": name}, operation=operation, **filled)


def at(bench: Bench) -> LaunchConnector:
    """Return a connector on an engine."""
    return LaunchConnector(loaded(), find=bench.find)


async def test_an_agent_is_made_looked_at_and_started(tmp_path: Path) -> None:
    desk = bench(tmp_path, loaded())
    answer = await at(desk).dispatch(order())
    assert desk.asked() == ["info", "create", "inspect", "start", "inspect"]
    assert isinstance(answer, Kept)
    assert answer.answer == {
        "container": "c0ffee",
        "engine": "docker",
        "evidence": "the runtime runsc (/usr/bin/runsc)",
        "exit_code": 0,
        "hardened": True,
        "image": loaded().grant.image,
        "runtime": "runsc",
        "spec_hash": loaded().grant_hash,
        "status": "running",
        "tier": "gvisor",
    }


async def test_its_state_is_told_and_it_is_stopped_and_taken_away(tmp_path: Path) -> None:
    desk = bench(tmp_path, loaded())
    agent = at(desk)
    await agent.dispatch(order())
    assert (await agent.dispatch(order("status"))).answer["status"] == "running"
    assert (await agent.dispatch(order("stop"))).answer["status"] == "exited"
    assert desk.knows()["there"] is False
    with pytest.raises(NotDispatched, match="no agent"):
        await agent.dispatch(order("status"))


@pytest.mark.parametrize("info", [docker(), AWAY, {}, docker(Runtimes={"runc": {"path": "runc"}})])
async def test_a_tier_that_is_not_there_fails_closed_before_anything_is_made(tmp_path: Path, info: Any) -> None:
    desk = bench(tmp_path, loaded())
    desk.learn(info=info)
    with pytest.raises(NotDispatched) as refused:
        await at(desk).dispatch(order())
    assert refused.value.code is ReasonCode.ERR_ISOLATION_TIER_UNAVAILABLE
    assert desk.asked() == ["info"]


async def test_a_host_without_the_engine_launches_nothing() -> None:
    with pytest.raises(NotDispatched, match="no docker") as refused:
        await LaunchConnector(loaded(), find=lambda _: None).dispatch(order())
    assert refused.value.code is ReasonCode.ERR_ISOLATION_TIER_UNAVAILABLE


@pytest.mark.parametrize("lie", [{"Runtime": "runc"}, {"Privileged": True}, {"NetworkMode": "host"}])
async def test_what_the_engine_made_otherwise_is_never_started_and_taken_away(tmp_path: Path, lie: Any) -> None:
    desk = bench(tmp_path, loaded(), **lie)
    with pytest.raises(NotDispatched, match="less than its spec") as refused:
        await at(desk).dispatch(order())
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION
    assert desk.asked() == ["info", "create", "inspect", "rm"]
    assert desk.knows()["there"] is False


async def test_a_container_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    desk = bench(tmp_path, loaded())
    made = desk.knows()["made"]
    made["Config"]["Labels"] = {"helm.spec": "sha256:another"}
    desk.learn(made=made, there=True, status="running")
    for operation in ("status", "stop"):
        with pytest.raises(NotDispatched, match="not launched under this spec"):
            await at(desk).dispatch(order(operation))
    assert set(desk.asked()) == {"inspect"}


async def test_a_container_that_cannot_be_made_is_not_taken_away(tmp_path: Path) -> None:
    desk = bench(tmp_path, loaded())
    desk.learn(fails=["create"])
    with pytest.raises(NotDispatched, match="Nothing was started"):
        await at(desk).dispatch(order())
    assert "rm" not in desk.asked()  # under that name may stand another


async def test_a_start_that_fails_is_a_failed_effect(tmp_path: Path) -> None:
    desk = bench(tmp_path, loaded())
    desk.learn(fails=["start"])
    with pytest.raises(ConnectorFailed, match="docker start"):
        await at(desk).dispatch(order())
    assert desk.knows()["there"] is False


async def test_an_agent_of_which_nothing_is_told_once_it_was_stopped_is_unknown(tmp_path: Path) -> None:
    desk = bench(tmp_path, loaded())
    agent = at(desk)
    await agent.dispatch(order())
    text = (tmp_path / "docker").read_text()
    (tmp_path / "docker").write_text(text.replace('state["status"] = "exited"', 'state["there"] = False'))
    with pytest.raises(ConnectorUnknown, match="not told"):
        await agent.dispatch(order("stop"))


@pytest.mark.parametrize("name", ["", "A", "a b", "--rm", "a/b", "x" * 50, 7, None])
async def test_a_name_that_is_none_reaches_no_engine(tmp_path: Path, name: Any) -> None:
    desk = bench(tmp_path, loaded())
    with pytest.raises(NotDispatched) as refused:
        await at(desk).dispatch(order(name=name))
    assert refused.value.code is ReasonCode.SCHEMA_VIOLATION
    assert desk.asked() == []


async def test_an_order_for_another_spec_launches_nothing(tmp_path: Path) -> None:
    desk = bench(tmp_path, loaded())
    with pytest.raises(NotDispatched) as refused:
        await at(desk).dispatch(order(sandbox_grant_hash="sha256:" + "0" * 64))
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION
    assert BUNDLE
    assert desk.asked() == []
