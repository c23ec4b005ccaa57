"""A program behind a real kernel: what its receipt says, and what a freeze does to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.connectors.port import Connector
from actors.connectors.programs.connector import LIMITS, ProgramConnector
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import content_id, hash_in
from tests.actors.connectors.programs.kit import OPEN, SHELL, bundle, connection_of, hash_of
from tests.actors.kit import House
from tests.actors.test_kernel_commands import freeze_of

pytestmark = pytest.mark.every_store


def plugged(text: str) -> dict[str, Connector]:
    """Return the connectors of a policy with one program."""
    return {"program": ProgramConnector(connection_of(text))}


def reason_of(house: House) -> str:
    """Return what the last effect's node says."""
    payloads = [json.loads(row)["node"]["payload"] for row in house.disk.rows]
    return str([payload["reason"] for payload in payloads if payload["type"] == "EFFECT"][-1])


async def test_a_receipt_binds_what_was_enforced(tmp_path: Path) -> None:
    house, text = House.build(tmp_path), bundle("echo 1")
    async with house.kernel(plugged(text), policy=text) as kernel:
        answer = await kernel.call("run", {})
    receipt = answer.receipt.content
    assert (answer.output, receipt.status) == (1, "SUCCESS")
    assert (receipt.module_hash, receipt.sandbox_grant_hash) == (hash_of(SHELL), connection_of(text).grant_hash)
    enforced: Any = json.loads(reason_of(house).removeprefix("enforced: "))
    assert "network" not in enforced
    assert dict(receipt.sandbox_limits) == {name: enforced[name] for name in sorted(LIMITS)}
    assert receipt.trap == ""
    lease = {
        "decision_id": receipt.decision_id,
        "enforced": enforced,
        "sandbox_grant_hash": receipt.sandbox_grant_hash,
        "wall_ms": 20_000,
    }
    assert receipt.lease_id == content_id("lease_", hash_in(domains.LEASE, canonical(lease)))


async def test_a_program_that_outlives_its_time_is_ended_and_its_effect_unknown(tmp_path: Path) -> None:
    text = bundle("exec sleep 60").replace("timeout_ms = 20000", "timeout_ms = 3000")
    async with House.build(tmp_path).kernel(plugged(text), policy=text) as kernel:
        answer = await kernel.call("run", {})
    # Where the machine is so busy that not even its keeper had begun, nothing was dispatched, and that is said.
    assert (answer.status, answer.reason_code) in (
        ("INDETERMINATE", "ERR_CONNECTOR_TIMEOUT"),
        ("NOT_DISPATCHED", "ERR_COMPUTE_TIME_EXHAUSTED"),
    )


@pytest.mark.parametrize("isolation", [OPEN])
async def test_a_freeze_ends_a_program(isolation: str, tmp_path: Path) -> None:
    house, text = House.build(tmp_path), bundle("exec sleep 60", isolation=isolation)
    answers: list[Any] = []
    async with house.kernel(plugged(text), policy=text) as kernel:

        async def call() -> None:
            answers.append(await kernel.call("run", {}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            while not any(b'"INTENT"' in row for row in house.disk.rows):  # noqa: ASYNC110
                await trio.sleep(0.01)
            await kernel.command(freeze_of(house, 1))
    assert answers[0].reason_code == "SYSTEM_FROZEN"
    assert answers[0].status in ("INDETERMINATE", "NOT_DISPATCHED")
