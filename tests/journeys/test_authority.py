"""A payment that needs two of three approvers, asked for by a delegate, frozen half-way, resumed, paid once."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.cli.server import Reply
from actors.policy_file import sign_text
from actors.process.clock import SystemClock
from tests.actors.cli.shell import Ended, helm
from tests.actors.puppet import Puppet
from tests.journeys.gateway import Gateway, House, build, gateway

APPROVERS = ("ann", "ben", "cid")

POLICY = """
version = "helm.policy/1"
scope = "payments"
epoch = 1

[connectors.bank]
kind = "local"

[principals.boss]
delegation_keys = ["{delegation}"]

[principals.clerk]
delegation_required = true

{approvers}

[[budgets]]
id = "payments"
subject = "tool:pay"
tool_call_limit = 2
spend_limit_cents = 100000
window_s = 86400

[tools.pay]
connector = "bank"
effect_type = "payment"
risk_tier = "T3"
principals = ["boss", "clerk"]
spend_cents = 40000
timeout_ms = 20000
input = '{{"type": "object", "properties": {{"to": {{"type": "string"}}}}, "required": ["to"]}}'
output = '{{"type": "object"}}'
approval = {{ required = true, quorum = 2, expires_s = 3600 }}
"""


async def run(*words: str, **environment: str) -> Ended:
    return await trio.to_thread.run_sync(partial(helm, *words, **environment))


async def ran(*words: str, **environment: str) -> Any:
    ended = await run(*words, "--json", **environment)
    assert ended.code == 0, (words, ended.err)
    return ended.json()


async def approver_keys(house: House, tmp_path: Path) -> dict[str, str]:
    """Make a key for each approver, add it to the trust registry, and return the key ids."""
    keys = {}
    for name in APPROVERS:
        file = tmp_path / f"{name}.pem"
        words = ("--new-key", str(file), "--reason", f"{name} approves payments", "--data-dir", str(house.place.path))
        added = await ran("trust", "add", "approval", *words)
        keys[name] = added["event"]["key_id"] if "event" in added else added["key_id"]
    return keys


def policy_of(house: House, keys: dict[str, str]) -> str:
    tables = "\n".join(f'[approvers.{name}]\nkeys = ["{key}"]\n' for name, key in keys.items())
    return POLICY.format(approvers=tables, delegation=house.place.delegation_key().key_id)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = build(tmp_path / "data", "boss", "clerk")
    house.clock.ahead_ms = SystemClock().now_ms() - house.clock.now_ms()
    return house


async def test_a_payment_is_asked_for_agreed_to_frozen_resumed_and_made_once(house: House, tmp_path: Path) -> None:
    keys = await approver_keys(house, tmp_path)
    text = policy_of(house, keys)
    house.place.policy_path.write_text(text)
    signed, bank = sign_text(text, "payments", house.place.policy_key()), Puppet(deed=lambda order: {"paid": True})
    async with gateway(house, signed, {"bank": bank}) as at:
        option = ("--data-dir", str(house.place.path), "--server", at.url)
        admin = {"HELM_API_KEY": house.keys["operator"]}

        # The clerk acts only in the boss's name, and only for this.
        bare = await pay(at)
        given = ("--delegator", "boss", "--delegate", "clerk", "--tool", "pay=args.to == 'acme'")
        session = await ran("delegation", "create", *given, *option, HELM_API_KEY=house.keys["boss"])
        ask = partial(pay, at, session)
        elsewhere = await ask(1, to="eve")
        asked = await ask(2)
        assert [bare.headers["x-helm-reason-code"], elsewhere.headers["x-helm-reason-code"]] == [
            "DELEGATION_INVALID",
            "DELEGATION_SCOPE_VIOLATION",
        ]
        assert (asked.status, asked.headers["x-helm-reason-code"]) == (202, "APPROVAL_REQUIRED")
        approval_id = asked.json()["approval_id"]

        # One of three is not enough, and the same one twice is one.
        say = partial(agree, approval_id, tmp_path, option, admin)
        assert (await say("ann"))["state"] == "PENDING"
        assert (await run_agree(approval_id, "ann", tmp_path, option, admin)).code == 1
        early = await ask(3, approval_id=approval_id)
        assert early.headers["x-helm-reason-code"] == "APPROVAL_REQUIRED"
        assert (await say("ben"))["state"] == "APPROVED"

        # Somebody stops the clerk: an approval that is granted is no way round a freeze.
        await ran("freeze", "--agent", "default/clerk", "--reason", "odd", *option, **admin)
        frozen = await ask(4, approval_id=approval_id)
        assert frozen.headers["x-helm-reason-code"] == "AGENT_KILLED"
        await ran("unfreeze", "--agent", "default/clerk", "--reason", "explained", *option, **admin)

        paid = await ask(5, approval_id=approval_id)
        twice = await ask(6, approval_id=approval_id)
        replayed = await ask(5, approval_id=approval_id)
        assert (paid.status, paid.json()["output"]) == (200, {"paid": True})
        assert twice.headers["x-helm-reason-code"] == "PDP_DENY"
        assert replayed.headers["x-helm-reason-code"] == "DELEGATION_INVALID"
        assert len(bank.orders) == 1

        # And what was given is taken back.
        await ran("delegation", "revoke", session["delegation_id"], "--reason", "done", *option, **admin)
        over = await ask(7)
        assert over.headers["x-helm-reason-code"] == "DELEGATION_INVALID"
        [budget] = await ran("budget", "list", *option, **admin)
        assert budget["accounts"][0]["spend_cents"] == 40000
        acts = await ran("audit", "list", *option, **admin)
    rows = json.dumps(acts)
    assert all(f'"{name}"' in rows for name in ("DELEGATION_BOUND", "DELEGATION_REVOKED", "FREEZE"))
    verified = await run("audit", "verify", "--data-dir", str(house.place.path))
    assert verified.code == 0, verified.err


async def pay(at: Gateway, session: Any = None, sequence: int = 0, *, to: str = "acme", **more: Any) -> Reply:
    if session is not None:
        more["delegation"] = {
            "id": session["delegation_id"],
            "sequence": sequence,
            "verifier": session["verifier"],
        }
    return await at.call("pay", {"to": to}, key="clerk", **more)


async def agree(
    approval_id: str, tmp_path: Path, option: tuple[str, ...], admin: dict[str, str], name: str
) -> dict[str, Any]:
    """Have one approver agree, and return how the approval stands."""
    ended = await run_agree(approval_id, name, tmp_path, option, admin)
    assert ended.code == 0, ended.err
    told: dict[str, Any] = ended.json()
    return told


async def run_agree(
    approval_id: str, name: str, tmp_path: Path, option: tuple[str, ...], admin: dict[str, str]
) -> Ended:
    intent = (await ran("approvals", "show", approval_id, *option, **admin))["intent_hash"].removeprefix("sha256:")
    phrase = f"approve pay {intent[:4]}-{intent[4:8]}"
    said = ("--key", str(tmp_path / f"{name}.pem"), "--reason", "agreed in the meeting", "--confirm", phrase)
    return await run("approvals", "approve", approval_id, *said, "--json", *option, **admin)
