"""helm policy overlay, show, explain, cancel-raise and helm budget set, verify: on a directory, and on a gateway."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.cli.server import Server
from actors.policy_file import read_signed
from helm.guardian.overlays import command_body
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm
from tests.actors.cli.test_serve import edit, served
from tests.actors.overlaying import overlay, removal, signed
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import Gateway, House, build, gateway

WIDER = POLICY.replace("epoch = 7", "epoch = 8").replace('max_risk_tier = "T2"', 'max_risk_tier = "T3"')


async def run(*words: str, **environment: str) -> Ended:
    return await trio.to_thread.run_sync(partial(helm, *words, **environment))


def written(path: Path, bundle_hash: str, more: str, name: str = "night", epoch: int = 1) -> Path:
    """Write an overlay in TOML."""
    path.parent.mkdir(exist_ok=True)
    head = f'version = "helm.overlay/1"\nid = "{name}"\nepoch = {epoch}\nnarrows = "{bundle_hash}"\n'
    path.write_text(head + more)
    return path


def bundle_of(made: Made) -> str:
    return read_signed(made.place().policy_path).policy.policy_hash


def test_what_would_widen_is_named_with_file_and_line(made: Made, tmp_path: Path) -> None:
    more = '[tools."files.read"]\nrisk_tier = "T0"\n'
    file = written(tmp_path / "o.toml", bundle_of(made), more)
    ended = helm("policy", "overlay", "check", str(file), "--json", *made.option)
    assert ended.code == 1
    assert f"{file}:6" in ended.failure()["message"]
    assert "widen" in ended.failure()["message"]
    assert ended.failure()["hint"]


def test_an_overlay_for_a_bundle_that_was_never_active_waits_in_its_directory(used: Made) -> None:
    place = used.place()
    file = written(place.overlays_path / "night.toml", bundle_of(used), 'remove_tools = ["files.list"]\n')
    assert helm("policy", "overlay", "sign", str(file), "--reason", "night", *used.option).code == 0
    explained = helm("policy", "explain", "files.list", "--principal", "agent", *used.option)
    assert explained.code == 0  # it is signed, and comes into force with the next start
    added = helm("policy", "overlay", "add", str(file), "--reason", "night", "--json", *used.option)
    assert added.code == 0
    assert added.json()[0]["command"]["overlay_id"] == "night"
    explained = helm("policy", "explain", "files.list", "--principal", "agent", "--layers", "--json", *used.option)
    assert explained.code == 1
    assert explained.json()["layers"][0] == {"limit": "tool", "value": "removed", "decided_by": "P2 night"}


def test_added_listed_and_removed_without_a_gateway(used: Made, tmp_path: Path) -> None:
    more = 'principals = ["agent"]\n[tools."files.read"]\nrisk_tier = "T2"\n'
    file = written(tmp_path / "o.toml", bundle_of(used), more)
    assert helm("policy", "overlay", "add", str(file), "--reason", "night", *used.option).code == 0
    twice = helm("policy", "overlay", "add", str(file), "--reason", "again", *used.option)
    assert twice.code == 1
    assert "does not follow" in twice.err
    listed = helm("policy", "overlay", "list", "--json", *used.option).json()
    assert [(row["command"]["overlay_id"], row["command"]["principals"]) for row in listed] == [("night", ["agent"])]
    for principal, by in (("agent", "P2 night"), ("other", "P1 bundle")):
        words = ("policy", "explain", "files.read", "--principal", principal, "--layers", "--json")
        tier = next(one for one in helm(*words, *used.option).json()["layers"] if one["limit"] == "risk tier")
        assert tier["decided_by"] == by
    assert helm("policy", "overlay", "remove", "night", "--reason", "day", *used.option).code == 0
    acts = [one for one in helm("audit", "list", "--json", *used.option).json()["acts"] if one["kind"] == "OVERLAID"]
    key = used.place().policy_key().key_id
    assert [(one["who"], one["reason"]) for one in acts] == [(key, "night"), (key, "day")]
    assert helm("policy", "overlay", "list", "--json", *used.option).json() == []
    assert helm("policy", "overlay", "remove", "night", "--reason", "day", *used.option).code == 1


def test_refused_overlays_of_the_directory_are_explained_and_found_by_doctor(used: Made) -> None:
    place = used.place()
    written(place.overlays_path / "wide.toml", bundle_of(used), '[tools.mine]\nrisk_tier = "T3"\n', "wide")
    told = helm("policy", "explain", "files.read", "--layers", "--json", *used.option).json()
    assert "declares no tool mine" in told["refused"][0]["what"]
    assert "wide.toml:5" in told["refused"][0]["where"]
    findings = {one["check"]: one for one in helm("doctor", "--json", *used.option).json()}
    assert findings["layers"]["state"] == "fail"
    assert "mine" in findings["layers"]["detail"]


def test_a_waiting_raise_is_shown_found_by_doctor_and_given_up(used: Made) -> None:
    place = used.place()
    path = place.policy_path
    text = path.read_text().replace("epoch = 1", "epoch = 2", 1).replace('denied_tools = ["shell.*"]', "", 1)
    path.write_text(text)
    told = helm("policy", "sign", str(path), *used.option)
    assert told.code == 0
    assert "raises of P0 waits 86400 s once it is active: denied_tools" in told.err
    trio.run(partial(start_once, used))
    shown = helm("policy", "show", "--json", *used.option).json()["p0"]
    assert shown["due_at_ms"] > 0
    assert (shown["in_force"]["denied_tools"], shown["stated"]["denied_tools"]) == (["shell.*"], [])
    assert "waits until" in helm("policy", "show", *used.option).out
    findings = {one["check"]: one for one in helm("doctor", "--json", *used.option).json()}
    assert findings["layers"]["state"] == "warn"
    layers = helm("policy", "explain", "files.read", "--layers", "--json", *used.option).json()["layers"]
    raised = next(one for one in layers if one["limit"] == "raise of denied_tools")
    assert raised["decided_by"] == "P0"
    assert "shell.*" in raised["value"]
    assert helm("policy", "cancel-raise", "--reason", "no", *used.option).code == 0
    shown = helm("policy", "show", "--json", *used.option).json()["p0"]
    assert (shown["due_at_ms"], shown["in_force"]["denied_tools"]) == (0, ["shell.*"])
    again = helm("policy", "cancel-raise", "--reason", "no", *used.option)
    assert again.code == 1
    assert "no raise" in again.err


async def start_once(used: Made) -> None:
    from actors.opening import open_kernel

    place = used.place()
    async with open_kernel(place, policy=read_signed(place.policy_path, place.overlays_path)):
        pass


def test_a_budget_is_lowered_and_never_raised_without_a_gateway(used: Made) -> None:
    lower = helm("budget", "set", "per-agent", "--tool-calls", "5", "--reason", "calm", "--json", *used.option)
    assert lower.code == 0
    assert (lower.json()["tool_call_limit"], lower.json()["budget_id"]) == (5, "per-agent")
    raised = helm("budget", "set", "per-agent", "--tool-calls", "1001", "--reason", "more", *used.option)
    assert raised.code == 1
    assert "widen" in raised.err
    new = ("--subject", "tool:files.read", "--window", "60", "--tool-calls", "2")
    added = helm("budget", "set", "reading", *new, "--reason", "calm", "--json", *used.option)
    assert added.json()["layer"] == "P2 budget.reading"
    words = ("policy", "explain", "files.read", "--principal", "agent", "--layers", "--json")
    layers = [tuple(one.values()) for one in helm(*words, *used.option).json()["layers"]]
    assert ("budget per-agent", "5 calls in 3600 s", "P2 budget.per-agent") in layers
    assert ("budget per-agent", "50 write operations in 3600 s", "P1 bundle") in layers
    assert ("budget reading", "2 calls in 60 s", "P2 budget.reading") in layers
    assert helm("budget", "set", "per-agent", "--reason", "none", *used.option).code == 2
    verified = helm("budget", "verify", "--json", *used.option)
    assert (verified.code, verified.json()["verified"]) == (0, True)


@pytest.fixture
def house(tmp_path: Path) -> House:
    built = build(tmp_path / "data", "ann")
    built.place.policy_path.write_text(POLICY)
    return built


async def test_on_a_gateway_overlays_bind_from_the_next_call_on(house: House, tmp_path: Path) -> None:
    bundle = house.sign(POLICY)
    file = written(tmp_path / "o.toml", bundle.policy.policy_hash, 'principals = ["ann"]\nremove_tools = ["read"]\n')
    async with gateway(house, bundle, {"local": Puppet(), "other": Puppet()}) as at:
        option = ("--data-dir", str(house.place.path), "--server", at.url)
        key = {"HELM_API_KEY": house.keys["operator"]}
        assert (await at.call("read", key="ann")).status == 200
        added = await run("policy", "overlay", "add", str(file), "--reason", "x", "--json", *option, **key)
        assert added.code == 0, added.err
        assert (await at.call("read", key="ann")).status == 403
        assert (await at.call("read")).status == 200
        shown = (await run("policy", "show", "--json", *option, **key)).json()
        assert [row["command"]["overlay_id"] for row in shown["overlays"]] == ["night"]
        denied = await run("policy", "overlay", "list", *option, HELM_API_KEY=house.keys["agent"])
        assert denied.code == 1
        removed = await run("policy", "overlay", "remove", "night", "--reason", "x", *option, **key)
        assert removed.code == 0, removed.err
        assert (await at.call("read", key="ann")).status == 200


async def test_on_a_gateway_a_budget_is_set_and_verified(house: House) -> None:
    async with gateway(house, house.sign(POLICY), {"local": Puppet(), "other": Puppet()}) as at:
        option = ("--data-dir", str(house.place.path), "--server", at.url)
        key = {"HELM_API_KEY": house.keys["operator"]}
        assert (await at.call("pay")).status == 200
        lowered = await run("budget", "set", "spend", "--spend-cents", "15", "--reason", "x", "--json", *option, **key)
        assert lowered.code == 0, lowered.err
        assert lowered.json()["spend_limit_cents"] == 15
        assert (await at.call("pay")).status == 403
        verified = await run("budget", "verify", "--json", *option, **key)
        assert (verified.code, verified.json()["differing"]) == (0, [])
        at.kernel.memory.ledger.accounts["spend"] = (
            "spend",
            *at.kernel.memory.ledger.accounts["spend"][1:2],
            9,
            9,
            9,
            9,
        )
        forged = await run("budget", "verify", "--json", *option, **key)
        assert (forged.code, forged.json()["differing"]) == (1, ["spend"])


async def test_a_raise_that_waits_is_given_up_over_http(house: House) -> None:
    async with gateway(house, house.sign(POLICY), {"local": Puppet(), "other": Puppet()}) as at:
        option = ("--data-dir", str(house.place.path), "--server", at.url)
        key = {"HELM_API_KEY": house.keys["operator"]}
        await at.kernel.activate(house.sign(WIDER), at.kernel.executor.connectors)
        assert (await at.call("high")).status == 403
        given_up = await run("policy", "cancel-raise", "--reason", "x", "--json", *option, **key)
        assert given_up.code == 0, given_up.err
        assert given_up.json()["p0"]["due_at_ms"] == 0
        assert (await run("policy", "cancel-raise", "--reason", "x", *option, **key)).code == 1


async def test_what_nobody_entitled_signed_is_refused_over_http(house: House) -> None:
    def body(one: Any) -> bytes:
        said: dict[str, Any] = {"command": command_body(one.command), "signature": one.signature}
        if one.document:
            said["document"] = json.loads(one.document)
        return json.dumps(said).encode()

    policy, place = house.sign(POLICY), house.place
    path = "/api/v1/policy/overlays"
    async with gateway(house, policy, {"local": Puppet(), "other": Puppet()}) as at:
        good = signed(overlay(policy.policy, remove_tools=["read"]), place)
        wide = signed(overlay(policy.policy, tools={"pay": {"risk_tier": "T0"}}), place)
        unsigned = type(good)(command=good.command, signature="00" * 64, document=good.document)
        assert (await at.send(path, body(good))).status == 403  # a tenant's key
        assert (await at.send(path, body(good), key="")).status == 401
        assert (await at.send(path, body(wide), key="operator")).status == 403
        assert (await at.send(path, body(unsigned), key="operator")).status == 403
        assert (await at.send(path, b"{}", key="operator")).status == 400
        assert (await at.send(f"{path}/one/remove", body(removal(place)), key="operator")).status == 404
        assert (await at.call("read")).status == 200
        assert (await at.send(path, body(good), key="operator")).status == 201
        assert (await at.send(path, body(good), key="operator")).status == 409
        assert (await at.send(f"{path}/two/remove", body(removal(place)), key="operator")).status == 400
        assert (await at.send(f"{path}/one/remove", body(removal(place)), key="operator")).status == 200
        assert (await at.call("read")).status == 200


def test_a_hangup_brings_overlays_of_the_directory_into_force_and_a_bundle_without_them_is_refused(made: Made) -> None:
    place = made.place()
    path = place.policy_path
    with served(made) as served_:
        assert served_.call(made, "files.list", "public").status == 200
        file = written(place.overlays_path / "night.toml", bundle_of(made), 'remove_tools = ["files.list"]\n')
        assert helm("policy", "overlay", "sign", str(file), "--reason", "night", *made.option).code == 0
        served_.process.send_signal(signal.SIGHUP)
        served_.wait_for("is in force")
        assert served_.call(made, "files.list", "public").status == 403
        edit(path, "epoch = 1\n", "epoch = 2\n")
        told = helm("policy", "sign", str(path), *made.option)
        assert "refused until these overlays are signed for it" in told.err
        file.rename(tmp := file.with_suffix(".old"))
        served_.process.send_signal(signal.SIGHUP)
        assert "narrows another bundle" in served_.wait_for("stays as it is")
        assert served_.call(made, "files.list", "public").status == 403
        tmp.unlink()
        written(file, bundle_of(made), 'remove_tools = ["files.list"]\n', epoch=2)
        assert helm("policy", "overlay", "sign", str(file), "--reason", "night", *made.option).code == 0
        served_.process.send_signal(signal.SIGHUP)
        served_.wait_for("epoch 2 is in force")
        assert served_.call(made, "files.list", "public").status == 403
        assert served_.call(made, "files.read", "public/readme.txt").status == 200
    assert helm("receipts", "verify", *made.option).code == 0


async def test_a_budget_is_set_by_an_overlay_about_it_alone(house: House) -> None:
    policy, place = house.sign(POLICY), house.place

    async def put(at: Gateway, name: str, key: str = "operator", epoch: int = 1, **members: Any) -> int:
        one = signed(overlay(policy.policy, "budget.spend", epoch, **members), place)
        said = {"command": command_body(one.command), "document": json.loads(one.document), "signature": one.signature}
        server = Server(at.url, house.keys[key])
        ask = partial(server.ask, "PUT", f"/api/v1/budgets/{name}", json.dumps(said).encode())
        reply = await trio.to_thread.run_sync(partial(ask, **{"content-type": "application/json"}))
        return reply.status

    lower: Any = {"budgets": [{"id": "spend", "spend_limit_cents": 5}]}
    async with gateway(house, policy, {"local": Puppet(), "other": Puppet()}) as at:
        assert await put(at, "spend", key="", **lower) == 401
        assert await put(at, "spend", key="agent", **lower) == 403
        assert await put(at, "few", **lower) == 403
        assert await put(at, "spend", **lower, remove_tools=["read"]) == 403
        assert await put(at, "spend", budgets=[{"id": "spend", "spend_limit_cents": 1001}]) == 403
        assert (await at.call("pay")).status == 200
        assert await put(at, "spend", **lower) == 200
        assert await put(at, "spend", **lower) == 409
        assert (await at.call("pay")).status == 403
