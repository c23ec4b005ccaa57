"""The disk with the receipts' key is gone, and no copy: the log goes on under another key, and all of it verifies."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.evidence.export import replay_script
from actors.installation import Installation
from actors.opening import break_ground
from actors.plugging import plug
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from tests.actors.cli.shell import Ended, helm
from tests.journeys.gateway import NOON_MS, House, SetClock, build, gateway

WHY = ("--reason", "the disk is gone, and nobody has a copy")


async def typed(*words: str) -> Ended:
    """Type a command."""
    return await trio.to_thread.run_sync(partial(helm, *words))


async def serve_one(house: House) -> str:
    """Serve, have a call answered over HTTP, and return the name of the key that is there."""
    place = Installation.open(house.place.path, flags={"port": 0})
    house, signed = House(place, house.keys, SetClock(SystemClock().now_ms() - NOON_MS)), read_signed(place.policy_path)
    async with gateway(house, signed, plug(signed.policy, {}, place.path)) as open_gateway:
        answer = await open_gateway.call("files.read", {"path": "public/readme.txt"})
        assert answer.status == 200, answer.body
    return place.execution_key().key_id


async def test_a_log_whose_execution_key_is_gone_goes_on_and_verifies_from_end_to_end(tmp_path: Path) -> None:
    house = build(tmp_path / "data")
    path, here = house.place.path, ("--data-dir", str(house.place.path))
    lost = await serve_one(house)
    file = path / "keys" / "execution.pem"
    found = file.read_bytes()  # by somebody, later
    file.unlink()
    with pytest.raises(Invalid, match="cannot be opened") as refused:
        await break_ground(house.place)
    assert "helm trust rotate execution --lost" in refused.value.hint
    before = (await typed("audit", "list", "--json", *here)).json()["acts"]

    replaced = await typed("trust", "rotate", "execution", "--lost", lost, *WHY, *here)
    assert replaced.code == 0, replaced.err
    assert await serve_one(house) != lost
    assert (await typed("trust", "revoke", lost, "--reason", "it may be in other hands", *here)).code == 0
    assert await serve_one(house) != lost

    acts = (await typed("audit", "list", "--json", *here)).json()["acts"]
    assert acts[: len(before)] == before
    assert acts[len(before)]["kind"] == "KEY_ROTATED"
    assert WHY[1] in str(acts[len(before)])
    await check_verifies(house, tmp_path, lost)
    file.write_bytes(found)
    with pytest.raises(Invalid, match="does not count"):
        await serve_one(house)


async def check_verifies(house: House, tmp_path: Path, lost: str) -> None:
    """Check that receipts from before and after stand in one pack, and that every verifier takes it."""
    pack, script, here = tmp_path / "pack.tar", tmp_path / "verify.py", ("--data-dir", str(house.place.path))
    listed = (await typed("receipts", "list", "--session", "of-agent", "--json", *here)).json()
    assert len(listed) == 3
    assert [receipt["key_id"] == lost for receipt in listed].count(True) == 1
    exported = await typed("evidence", "export", "--session", "of-agent", "-o", str(pack), *here)
    assert exported.code == 0, exported.err
    log_id = house.place.log_id
    assert (await typed("verify", str(pack), "--log-id", log_id)).code == 0
    assert (await typed("receipts", "verify", *here)).code == 0
    script.write_bytes(replay_script())
    line = [sys.executable, str(script), str(pack), "--log-id", log_id]
    ended = await trio.run_process(line, capture_stdout=True, stderr=subprocess.STDOUT, check=False)
    assert ended.returncode == 0, ended.stdout
