"""Verify a pack in the console: an auditor with a file, a pin and no network."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs
import pytest
import trio

from helm.crypto import domains
from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.hashing import hash_in
from helm.evidence import archive
from helm.evidence.layout import MANIFEST
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import CHECKS, verify_pack
from tests.browser import HOW, Page, program
from tests.counterparts import programs
from tests.helm.evidence.forger import a_log, a_pack, flipped, pack_of, packed, resealed, root_of, unpacked
from tests.helm.evidence.material import Log
from tests.journeys.test_console import AXE, MARKUP, NAME, complaints
from tests.journeys.verifier_room import Visitor, shown, verifier_room

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason=HOW)]

ALL_OK: Final = [[str(number), name, "ok"] for number, (name, _) in enumerate(CHECKS, 1)]


@asynccontextmanager
async def visitor(path: Path) -> AsyncIterator[Visitor]:
    """Open the room, and have somebody in it who knows the log."""
    async with verifier_room(path) as page:
        one = Visitor(page, path)
        await one.trust("logId", a_log().log_id)
        yield one


async def test_a_pack_verifies_with_the_network_unplugged_and_nobody_is_asked(tmp_path: Path) -> None:
    async with visitor(tmp_path) as one:
        page = one.page
        await page.watch()
        await page.unplug()
        await page.reads("the network is unplugged: nothing here needs it")
        await page.until("fetch('/console/main.js', {cache: 'no-store'}).then(() => false, () => true)")
        asked = len(page.requests)
        assert asked, "a request that failed is one that is seen"
        await one.drop(a_pack())
        assert await one.settled() == "AUTHENTICATED"
        assert await one.lines() == ALL_OK
        await page.reads("Nothing was sent, and nobody was asked.")
        assert page.requests[asked:] == []
        assert len(page.workers) == 1


async def test_the_worker_cannot_ask_anybody_though_the_network_is_there(tmp_path: Path) -> None:
    async with visitor(tmp_path) as one:
        await one.page.watch()
        (worker,) = one.page.workers
        asked = "fetch('/console/main.js').then(() => 'answered', (problem) => problem.name)"
        assert await one.page.look(asked, session=worker) == "TypeError"
        assert await one.page.look(asked) == "answered"


async def test_a_file_is_chosen_by_keyboard_and_each_kind_of_pin_counts(tmp_path: Path) -> None:
    log = a_log()
    pins = {"genesisKey": KeyPurpose.TRUST_ADMIN, "executionKey": KeyPurpose.EXECUTION}
    async with visitor(tmp_path) as one:
        for kind, purpose in pins.items():
            await one.trust(kind, log.key(purpose).public_key)
            await one.choose(a_pack(), f"{kind}.tar")
            await one.page.reads(f"{kind}.tar was read in this browser alone")
            assert await one.settled() == "AUTHENTICATED"
        await one.page.reads("4 of session s1 of acme")
        await one.page.reads("without an outcome: 1")


async def test_a_tampered_pack_is_refused_by_the_check_that_helm_verify_names(tmp_path: Path) -> None:
    members = unpacked(a_pack())
    less = {path: raw for path, raw in members.items() if path != "inclusion/head.json"}
    tampered = {
        "flipped": flipped(a_pack()),
        "cut off": a_pack()[:-700],
        "no archive": b"this is no pack" * 100,
        "empty": b"",
        "less": resealed(less),
        "other key": resealed(members, number=2),
        "older": packed(members | {MANIFEST: members[MANIFEST].replace(b"helm.pack/", b"helm.pick/")}),
    }
    refused_by = set()
    async with visitor(tmp_path) as one:
        for what, pack in tampered.items():
            report = verify_pack(pack, root_of(a_log()))
            assert report.failed is not None, what
            await one.drop(pack, f"{what}.tar")
            await one.page.reads(f"{what}.tar was read in this browser alone")
            assert await one.settled() == "NOT AUTHENTICATED"
            assert await one.lines() == shown(report), what
            await one.page.reads(f"By check {report.failed.number}, {report.failed.name}: ")
            refused_by.add(report.failed.name)
    assert len(refused_by) >= 4


async def test_a_pack_of_another_log_is_refused_and_no_pin_is_taken_from_it(tmp_path: Path) -> None:
    async with verifier_room(tmp_path) as page:
        one = Visitor(page, tmp_path)
        await one.drop(a_pack())
        await page.reads("a pack cannot vouch for itself")
        assert await page.look("document.querySelector('input[name=pin]').value") == ""
        assert not await page.look("!!document.querySelector('.made')")
        await one.trust("logId", "sha256:" + "0" * 64)
        await page.click("form button.first")
        assert await one.settled() == "NOT AUTHENTICATED"
        await page.reads("By check 5, genesis")
        assert await one.lines() == shown(verify_pack(a_pack(), TrustRoot(log_id="sha256:" + "0" * 64)))
        await one.trust("executionKey", "00" * 32)
        await page.click("form button.first")
        await page.reads("copy the key whole")


async def test_what_an_agent_wrote_into_a_pack_stays_text(tmp_path: Path) -> None:
    log = Log().begin()
    log.call(NAME)
    log.refuse(NAME, NAME)
    async with visitor(tmp_path) as one:
        await one.trust("logId", log.log_id)
        await one.drop(pack_of(log, NAME), "<img src=x onerror='window.broken=1'>.tar")
        assert await one.settled() == "AUTHENTICATED"
        await one.page.reads(f"session {NAME} of acme")
        forged = resealed(unpacked(pack_of(log, NAME)), lambda cover: attrs.evolve(cover, key_id=MARKUP))
        await one.drop(forged, "forged.tar")
        await one.page.reads(f"By check 7, signature: {MARKUP} is no evidence key of this log")
        assert not await one.page.look("window.broken")
        assert complaints(one.page) == []


async def test_whoever_waits_too_long_stops_it_and_the_page_stays_awake(tmp_path: Path) -> None:
    async with visitor(tmp_path) as one:
        await one.drop_file(endless(tmp_path))
        await one.page.until("document.querySelectorAll('.made .ok').length === 1")
        await one.page.click(".stop")
        assert await one.settled() == "Stopped"
        await one.drop(a_pack())
        await one.page.until("!!document.querySelector('.verdict.large')")
        assert await one.settled() == "AUTHENTICATED"


def endless(place: Path) -> Path:
    """Return an archive of a file that takes long to hash, and of a manifest over it: little of it is on the disk."""
    file, size = place / "endless.tar", 512 * 1024 * 1024
    entry = {"hash": "sha256:" + "0" * 64, "path": "a.json", "size": size, "type": "application/json"}
    body = reread(unpacked(a_pack())[MANIFEST]) | {"entries": [entry]}
    said = record_bytes({name: value for name, value in body.items() if name not in ("manifest_hash", "signature")})
    manifest = record_bytes(body | {"manifest_hash": hash_in(domains.MANIFEST, said)})
    with file.open("wb") as out:
        out.write(archive.header("a.json", size))
        out.seek(size, os.SEEK_CUR)
        out.write(archive.header(MANIFEST, len(manifest)) + manifest + bytes(-len(manifest) % 512) + archive.END)
    return file


async def test_a_pack_beyond_what_a_browser_holds_is_refused_with_the_way_out(tmp_path: Path) -> None:
    huge = tmp_path / "huge.tar"
    with huge.open("wb") as out:
        out.truncate(1024**3 + 1)
    async with visitor(tmp_path) as one:
        await one.drop_file(huge)
        assert await one.settled() == "Not verified"
        await one.page.reads("a browser takes 1073741824 at most. Verify it with `helm verify`")


@pytest.mark.skipif(programs.package(AXE) is None, reason=programs.HOW)
async def test_nothing_serious_stands_in_the_way_of_whoever_verifies(tmp_path: Path) -> None:
    axe = programs.package(AXE)
    assert axe is not None
    async with visitor(tmp_path) as one:
        page: Page = one.page
        await page.look(await trio.Path(axe).read_text() + "; true")
        for pack, dark, width in ((a_pack(), False, 1280), (flipped(a_pack()), True, 1280), (a_pack(), True, 390)):
            await page.dress(width=width, dark=dark, phone=width < 800)
            await one.drop(pack, f"{width}-{dark}.tar")
            await page.reads(f"{width}-{dark}.tar was read in this browser alone")
            found = await page.look(
                "axe.run().then((told) => told.violations"
                ".filter((one) => ['serious', 'critical'].includes(one.impact))"
                ".map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 200)).join(' | ')}`))"
            )
            assert found == [], (dark, width)
            assert await page.look("document.documentElement.scrollWidth <= innerWidth"), width


async def test_no_verdict_of_one_pack_is_shown_beside_another_of_the_same_name(tmp_path: Path) -> None:
    async with visitor(tmp_path) as one:
        await one.drop(a_pack())
        assert await one.settled() == "AUTHENTICATED"
        await one.page.write("input[name=pin]", "sha256:nothing")
        await one.page.until("!document.querySelector('.verdict, .made')")
        await one.drop(flipped(a_pack()))
        await one.page.reads("copy it whole")
        assert not await one.page.look("!!document.querySelector('.verdict, .made')")
