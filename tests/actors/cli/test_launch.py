"""helm launch preflight, run, status, stop: on this machine, and on one that plays an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.connectors.launch import engine as engines
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.connectors.launch.engines import bench
from tests.helm.evidence.forger import NODE_LINES, RECEIPT_LINES, unpacked
from tests.helm.launch.test_substrate import BUNDLE, loaded

AGENT = BUNDLE[BUNDLE.index("[connectors.agent]") :]


def tools() -> str:
    """Return the agent's policy with a tool for each operation."""
    tool = AGENT[AGENT.index("[tools.launch]") :]
    return AGENT + "".join(
        tool.replace("[tools.launch]", f"[tools.{name}]").replace('"run"', f'"{name}"') for name in ("status", "stop")
    )


@pytest.fixture
def place(made: Made) -> Made:
    """A data directory whose policy launches an agent."""
    path = made.place().policy_path
    path.write_text(path.read_text(encoding="utf-8") + tools(), encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0
    return made


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host without an engine."""
    monkeypatch.setattr(engines, "PLACES", (str(tmp_path / "nothing"),))


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host on which a program plays docker with gVisor."""
    folder = tmp_path / "engine"
    folder.mkdir()
    bench(folder, loaded())
    monkeypatch.setattr(engines, "PLACES", (str(folder), "/usr/bin", "/bin"))


@pytest.mark.usefixtures("nowhere")
def test_without_an_engine_preflight_says_so_and_refuses(place: Made) -> None:
    ended = helm("launch", "preflight", "--json", *place.option)
    assert ended.code == 1
    assert [one["tiers"] for one in ended.json()["engines"]] == [[], []]
    assert ended.json()["agents"][0]["ready"] is False
    assert "nothing can be launched" in helm("launch", "preflight", *place.option).err


@pytest.mark.usefixtures("nowhere")
def test_without_an_engine_nothing_is_launched_and_a_receipt_says_so(place: Made) -> None:
    ended = helm("launch", "run", "launch", "a", "--json", *place.option)
    assert ended.code == 1
    assert ended.json()["reason_code"] == "ERR_ISOLATION_TIER_UNAVAILABLE"
    assert ended.json()["outcome"] == "NOT_DISPATCHED"
    assert helm("receipts", "verify", "--json", *place.option).json()["receipts"] == 1


@pytest.mark.usefixtures("docker")
def test_an_agent_is_launched_watched_and_stopped_by_governed_calls(place: Made) -> None:
    assert helm("launch", "preflight", *place.option).code == 0
    started = helm("launch", "run", "launch", "a", "--json", *place.option)
    assert started.code == 0, started.out
    assert (started.json()["output"]["tier"], started.json()["output"]["status"]) == ("gvisor", "running")
    assert "launched behind gvisor: the runtime runsc (/usr/bin/runsc); spec sha256:" in started.json()["reason"]
    assert helm("launch", "status", "status", "a", "--json", *place.option).json()["output"]["status"] == "running"
    assert helm("launch", "stop", "stop", "a", *place.option).code == 0
    assert helm("receipts", "verify", "--json", *place.option).json()["receipts"] == 3


@pytest.mark.usefixtures("docker")
def test_the_tier_stands_in_the_policy_the_record_and_the_receipt_of_an_evidence_pack(
    place: Made, tmp_path: Path
) -> None:
    receipt_id = helm("launch", "run", "launch", "a", "--json", *place.option).json()["receipt_id"]
    pack = tmp_path / "launch.tar"
    assert helm("evidence", "export", "-o", str(pack), "--session", "launch", *place.option).code == 0
    assert helm("verify", str(pack), "--log-id", place.log_id).code == 0
    members = unpacked(pack.read_bytes())
    policies = [raw.decode() for path, raw in members.items() if path.startswith("policy/")]
    assert any('"tier":"gvisor"' in text for text in policies)
    assert b"launched behind gvisor" in members[NODE_LINES]
    (receipt,) = [json.loads(line) for line in members[RECEIPT_LINES].splitlines()]
    assert (receipt["receipt_id"], receipt["sandbox_grant_hash"]) == (receipt_id, loaded().grant_hash)


def test_a_tool_that_does_something_else_is_refused_at_once(place: Made) -> None:
    ended = helm("launch", "stop", "launch", "a", *place.option)
    assert ended.code == 1
    assert "declares no such tool to stop an agent" in ended.err
