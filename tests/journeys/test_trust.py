"""A year of keys, from the outside: three administrators, a running kernel, a theft, a rotation, an auditor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.doors.serve import serve
from actors.installation import Installation
from actors.opening import open_kernel
from actors.policy_file import read_signed
from tests.actors.cli.shell import Ended, helm

WHY = ("--reason", "a drill")


@attrs.frozen
class Log:
    """A data directory that three administrators keep, of whom two must sign; two have their keys elsewhere."""

    path: Path
    alice: Path
    bob: Path
    admin_key: str

    @property
    def here(self) -> tuple[str, str]:
        """The option that names it."""
        return ("--data-dir", str(self.path))

    def keys(self, *words: str) -> dict[str, Any]:
        """Every key by its id."""
        return {key["key_id"]: key for key in helm("trust", "keys", "--json", *self.here, *words).json()["keys"]}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    alice, bob, path = tmp_path / "alice.pem", tmp_path / "bob.pem", tmp_path / "data"
    public = [helm("trust", "key", str(key), "--json").json()["public_key"] for key in (alice, bob)]
    others = [word for key in public for word in ("--admin-key", key)]
    begun = helm("init", str(path), "--admins", "2-of-3", *others, "--json").json()
    for key in (alice, bob):
        assert helm("trust", "sign", begun["draft"], "--key", str(key)).code == 0
    assert helm("trust", "apply", begun["draft"], "--data-dir", str(path)).code == 0
    return Log(path, alice, bob, begun["admin_key"])


@asynccontextmanager
async def serving(log: Log) -> AsyncIterator[str]:
    """Run the kernel and its door; yield the door's address."""
    place = Installation.open(log.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", session="year")
        yield door.address.url
        door.close()
        await door.ended.wait()


async def typed(log: Log, url: str, *words: str) -> Ended:
    """Type a command about the running kernel."""
    return await trio.to_thread.run_sync(partial(helm, *words, "--server", url, *log.here, HELM_API_KEY=log.admin_key))


async def together(log: Log, url: str, file: Path, signer: Path, *words: str) -> Ended:
    """Propose a change, have another administrator sign it, and hand it in to the running kernel."""
    proposed = await typed(log, url, "trust", *words, "--out", str(file), *WHY)
    assert proposed.code == 0, proposed.err
    alone = await typed(log, url, "trust", "apply", str(file))
    assert "1 of 2 administrators" in alone.err
    assert helm("trust", "sign", str(file), "--key", str(signer)).code == 0
    return await typed(log, url, "trust", "apply", str(file))


async def test_keys_come_and_go_while_the_kernel_runs_and_the_auditor_sees_all_of_it(log: Log, tmp_path: Path) -> None:
    async with serving(log) as url:
        stolen = Installation.open(log.path).emergency_key().key_id
        (log.path / "keys" / "stolen.pem").write_bytes((log.path / "keys" / "emergency.pem").read_bytes())
        rotated = await together(log, url, tmp_path / "1.json", log.alice, "rotate", "emergency")
        assert rotated.code == 0, rotated.err
        assert (await together(log, url, tmp_path / "2.json", log.bob, "revoke", stolen)).code == 0
        assert (await typed(log, url, "freeze", *WHY)).code == 0  # by the new key
        assert (await typed(log, url, "unfreeze", *WHY)).code == 0
        new = log.path / "keys" / "emergency.pem"
        kept = new.read_bytes()
        new.write_bytes((log.path / "keys" / "stolen.pem").read_bytes())
        thief = await typed(log, url, "freeze", *WHY)
        assert thief.code == 1
        assert "does not count" in thief.err
        new.write_bytes(kept)
        refused = await together(log, url, tmp_path / "3.json", log.bob, "rotate", "execution")
        assert "stop the kernel" in refused.err
        seen = (await typed(log, url, "audit", "list", "--json")).json()["acts"]

    applied = await trio.to_thread.run_sync(partial(helm, "trust", "apply", str(tmp_path / "3.json"), *log.here))
    assert applied.code == 0, applied.err
    async with serving(log):
        pass
    pack = tmp_path / "year.tar"
    where = ("--session", "year", "-o", str(pack), *log.here)
    assert (await trio.to_thread.run_sync(partial(helm, "evidence", "export", *where))).code == 0
    log_id = Installation.open(log.path).log_id
    assert (await trio.to_thread.run_sync(partial(helm, "verify", str(pack), "--log-id", log_id))).code == 0
    audited = await trio.to_thread.run_sync(partial(helm, "audit", "list", "--json", *log.here))
    acts = audited.json()["acts"]
    assert acts[: len(seen)] == seen
    kinds = [act["kind"] for act in acts]
    assert [kind for kind in kinds if kind.startswith("KEY_") and kind != "KEY_ADDED"] == [
        "KEY_ROTATED",
        "KEY_REVOKED",
        "KEY_ROTATED",
    ]
    assert kinds.count("FREEZE") == 2
    verified = await trio.to_thread.run_sync(
        partial(helm, "audit", "verify", "--head", acts[-1]["node_hash"], *log.here)
    )
    assert verified.code == 0
    assert log.keys()[stolen]["status"] == "REVOKED"
    assert log.keys("--at-lamport", "7")[stolen]["status"] == "ACTIVE"
