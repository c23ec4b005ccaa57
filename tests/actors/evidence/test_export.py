"""What a kernel wrote can be taken away, verified by a stranger, and judged again."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import trio

from actors.evidence.export import export_session, replay_script
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.crypto.domains import PurposeMismatch
from helm.evidence.replay import replay_pack
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack, verify_pack
from tests.actors.kit import House
from tests.actors.puppet import Hold, Puppet
from tests.helm.evidence.forger import refusing_check_of_script


async def busy(kernel: Kernel) -> None:
    """Make calls of every ending in one session, and some in another."""
    for session in ("one", "two"):
        await kernel.call("read", {"n": 1, "größe": 1.5}, session=session)
        await kernel.call("no.such.tool", {}, session=session)
        await kernel.call("read", b"{bad", session=session)
        await kernel.call("strict", {"n": "x"}, session=session)
        await kernel.call("send", {"to": "https://evil.example.com"}, session=session)


async def export(kernel: Kernel, house: House, path: Path, session: str = "one") -> bytes:
    await export_session(kernel.library, Selection("local", session), house.place.evidence_key(), path)
    return await trio.to_thread.run_sync(path.read_bytes)


def files_in(path: Path) -> list[str]:
    """Return the names of the files that an export left, whole or not."""
    return [file.name for file in path.iterdir() if file.is_file()]


async def test_a_running_kernels_session_is_exported_verified_and_judged_again(house: House, tmp_path: Path) -> None:
    root = TrustRoot(log_id=house.place.log_id)
    async with house.kernel() as kernel:
        await busy(kernel)
        raw = await export(kernel, house, tmp_path / "pack.tar")
        await busy(kernel)
        assert await export(kernel, house, tmp_path / "two.tar", "two") != raw
    report = verify_pack(raw, root)
    assert report.authenticated, report.text()
    assert report.subject.receipts == 5
    assert replay_pack(check_pack(raw, root)).judged == 5
    assert refusing_check_of_script(raw, root) == ""


async def test_an_export_says_what_it_is_about_and_only_its_owner_reads_it(house: House, tmp_path: Path) -> None:
    async with house.kernel() as kernel:
        await busy(kernel)
        about = await export_session(
            kernel.library, Selection("local", "one"), house.place.evidence_key(), tmp_path / "pack.tar"
        )
    assert (about.tenant, about.session_id, about.receipts, about.log_id) == ("local", "one", 5, house.place.log_id)
    assert stat.S_IMODE((tmp_path / "pack.tar").stat().st_mode) == 0o600
    assert files_in(tmp_path) == ["pack.tar"]


async def test_the_same_log_makes_the_same_pack_after_a_restart(house: House, tmp_path: Path) -> None:
    async with house.kernel() as kernel:
        await busy(kernel)
        before = await export(kernel, house, tmp_path / "one.tar")
    async with house.kernel() as kernel:
        assert await export(kernel, house, tmp_path / "two.tar") == before


async def test_a_call_under_way_is_an_open_intent_of_its_pack(house: House, tmp_path: Path) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: kernel.call("read", {}, session="one"))
        await puppet.began.wait()
        raw = await export(kernel, house, tmp_path / "pack.tar")
        hold.let_go()
    subject = verify_pack(raw, TrustRoot(log_id=house.place.log_id)).subject
    assert (subject.receipts, subject.open_intents) == (0, 1)


async def test_a_session_that_nobody_knows_leaves_no_file(house: House, tmp_path: Path) -> None:
    async with house.kernel() as kernel:
        with pytest.raises(Invalid, match="nothing is known of it"):
            await export(kernel, house, tmp_path / "pack.tar", "nobody")
    assert files_in(tmp_path) == []


async def test_a_key_for_something_else_signs_no_pack(house: House, tmp_path: Path) -> None:
    async with house.kernel() as kernel:
        await busy(kernel)
        with pytest.raises(PurposeMismatch):
            await export_session(
                kernel.library, Selection("local", "one"), house.place.policy_key(), tmp_path / "pack.tar"
            )
    assert files_in(tmp_path) == []


async def test_a_log_that_does_not_verify_is_not_exported(house: House, tmp_path: Path) -> None:
    async with house.kernel() as kernel:
        await busy(kernel)
        house.disk.rows[-1] = house.disk.rows[-1].replace(b'"principal":"local"', b'"principal":"other"')
        with pytest.raises(Invalid):
            await export(kernel, house, tmp_path / "pack.tar", "two")
    assert files_in(tmp_path) == []


def test_the_replay_script_comes_with_the_program() -> None:
    assert replay_script().startswith(b"#!/usr/bin/env python3\n")
