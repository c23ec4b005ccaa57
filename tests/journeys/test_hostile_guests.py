"""Hostile guests come in by the front door: each ends with its own code and a receipt, and the house stands."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import pytest
import trio

from actors.cli.server import Reply
from actors.connectors.port import Connector
from actors.kernel import Limits
from helm.crypto.hashing import sha256
from helm.runtime.sandbox.guest import MAX_MODULE_BYTES
from tests.actors.modules import guests_of, keep
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.helm.runtime import guests
from tests.helm.runtime.guests import asks, opens
from tests.journeys.gateway import Gateway, build, gateway

NOT_CAPABLE: Final = 76
REFUSED_PATH: Final = 100 + NOT_CAPABLE


@attrs.frozen(kw_only=True)
class Hostile:
    """One guest, what it is granted, and how it ends."""

    module: bytes
    status: str = "FAILED"
    code: str = ""
    granted: str = ""
    found: bytes = b""
    """What lies in the place of its module, b"" for the module."""
    output: Any = None
    timeout_ms: int = 60_000
    trap: str = ""


def trapped(module: bytes, trap: str) -> Hostile:
    return Hostile(module=module, code="ERR_COMPUTE_TRAP", trap=trap)


def not_begun(module: bytes, code: str = "SANDBOX_VIOLATION", **more: Any) -> Hostile:
    return Hostile(module=module, status="NOT_DISPATCHED", code=code, **more)


def denied(granted: str) -> Hostile:
    return Hostile(module=guests.ECHO, status="DENIED", code="SANDBOX_VIOLATION", granted=granted)


def answering(module: bytes, output: Any, granted: str = "") -> Hostile:
    return Hostile(module=module, status="SUCCESS", output=output, granted=granted)


FOLDER: Final = """profile = "wasmtime-writable"
[[connectors.NAME.preopens]]
path = "PLACE/given"
guest_path = "/data"
mode = "rw"
"""

ASKS_THE_TIME: Final = asks("clock_time_get", "(param i32 i64 i32)", "(i32.const 0) (i64.const 0) (i32.const 128)")
ASKS_FOR_CHANCE: Final = asks("random_get", "(param i32 i32)", "(i32.const 128) (i32.const 8)")
ASKS_FOR_VARIABLES: Final = guests.guest(
    """
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (i32.store8 (i32.const 64) (i32.add (i32.const 48) (i32.load (i32.const 16))))
    (call $say (i32.const 64) (i32.const 1))
    """,
    imports=guests.IO
    + '(import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))',
    rest=guests.SAY,
)

HOSTILE: Final[Mapping[str, Hostile]] = MappingProxyType(
    {
        "loop": Hostile(
            module=guests.LOOP,
            code="ERR_COMPUTE_TIME_EXHAUSTED",
            granted="fuel = 1_000_000_000_000",
            timeout_ms=2_000,
            trap="interrupt",
        ),
        "fuel-bomb": Hostile(module=guests.LOOP, code="ERR_COMPUTE_GAS_EXHAUSTED", trap="out of fuel"),
        "memory-bomb": Hostile(module=guests.GROWS, code="ERR_COMPUTE_MEMORY_EXHAUSTED", trap="unreachable"),
        "begins-large": not_begun(guests.BEGINS_LARGE, "ERR_COMPUTE_MEMORY_EXHAUSTED"),
        "table-growth": trapped(guests.GROWS_ITS_TABLE, "unreachable"),
        "large-table": Hostile(module=guests.BEGINS_WITH_A_LARGE_TABLE, code="ERR_COMPUTE_MEMORY_EXHAUSTED"),
        "recursion": trapped(guests.RECURSES, "stack overflow"),
        "output-flood": Hostile(module=guests.FLOODS, code="ERR_COMPUTE_OUTPUT_EXHAUSTED", trap="output exhausted"),
        "stderr-flood": Hostile(
            module=guests.FLOODS_ITS_STDERR, code="ERR_COMPUTE_OUTPUT_EXHAUSTED", trap="output exhausted"
        ),
        "unreachable": trapped(guests.UNREACHABLE, "unreachable"),
        "divides-by-zero": trapped(guests.DIVIDES_BY_ZERO, "integer division by zero"),
        "out-of-bounds": trapped(guests.OUT_OF_BOUNDS, "memory out of bounds"),
        "undeclared-import": not_begun(guests.ASKS_ITS_HOST),
        "mistyped-import": not_begun(guests.MISTYPES),
        "climbs": answering(opens("../secret"), REFUSED_PATH, FOLDER),
        "absolute": answering(opens("/etc/passwd"), REFUSED_PATH, FOLDER),
        "follows-a-link": answering(opens("link"), REFUSED_PATH, FOLDER),
        "follows-a-hard-link": answering(opens("linked"), REFUSED_PATH, FOLDER),
        "opens-a-pipe": answering(opens("pipe"), REFUSED_PATH, FOLDER),
        "reads-where-it-may": answering(opens("plan"), 1234, FOLDER),
        "network-that-was-reviewed": answering(
            opens("plan"),
            1234,
            FOLDER + '[connectors.NAME.network]\nmode = "allowlist"\ndestinations = ["reviewed.example"]\n',
        ),
        "reads-variables": answering(ASKS_FOR_VARIABLES, 0),
        "reads-the-clock": answering(ASKS_THE_TIME, NOT_CAPABLE),
        "draws-at-random": answering(ASKS_FOR_CHANCE, NOT_CAPABLE),
        "huge": not_begun(guests.ECHO + bytes(MAX_MODULE_BYTES)),
        "truncated": not_begun(guests.TRUNCATED),
        "no-module": not_begun(guests.NO_MODULE),
        "text": not_begun(guests.TEXT),
        "changed": not_begun(guests.ANSWERS_TWO, "ERR_PACK_HASH_MISMATCH", found=guests.ECHO),
        "overgrant-folder": denied(FOLDER.replace("PLACE/given", "/srv")),
        "overgrant-profile": denied('clock = "real"'),
        "overgrant-network": denied(
            'profile = "wasmtime-readonly"\n[connectors.NAME.network]\nmode = "allowlist"\ndestinations = ["a.example"]'
        ),
        "overgrant-native": denied('profile = "firecracker-native"'),
        "finds-another-folder-than-was-pinned": not_begun(
            guests.ECHO, granted=FOLDER.replace('"rw"', f'"ro"\ncontent_hash = "{sha256(b"")}"')
        ),
        "wants-a-folder-that-is-a-link": not_begun(guests.ECHO, granted=FOLDER.replace("/given", "/other")),
    }
)


def policy_with(place: Path, wanted: Mapping[str, Hostile]) -> str:
    """Return a policy in which each of them is a tool."""
    text = POLICY + f'\n[p0.sandbox]\nwritable = ["{place}"]\nnetworks = ["reviewed.example"]\n'
    for name, one in wanted.items():
        granted = one.granted.replace("NAME", name).replace("PLACE", str(place))
        text += f"""
[tools.{name}]
connector = "{name}"
effect_type = "execute"
risk_tier = "T1"
timeout_ms = {one.timeout_ms}
principals = ["*"]
input = {{}}
output = {{}}

[connectors.{name}]
kind = "wasm"
module_hash = "{sha256(one.module)}"
wall_ms = 600_000
{granted}
"""
    return text


@asynccontextmanager
async def house_of(path: Path, wanted: Mapping[str, Hostile], limits: Limits | None = None) -> AsyncIterator[Gateway]:
    """Open a gateway in which each of them is a tool, beside a folder with every kind of trap in it."""
    given = path / "given"
    given.mkdir()
    (path / "secret").write_text("9999")
    (given / "plan").write_text("1234")
    (given / "link").symlink_to("../secret")
    os.link(path / "secret", given / "linked")
    os.mkfifo(given / "pipe")
    (path / "other").symlink_to(given)
    house = build(path / "data")
    signed = house.sign(policy_with(path, wanted))
    for one in wanted.values():
        keep(house.place.path, one.found or one.module, under=one.module)
    puppet = Puppet()
    connectors: dict[str, Connector] = {"local": puppet, "other": puppet, **guests_of(signed.policy, house.place.path)}
    async with gateway(house, signed, connectors, limits=limits) as at:
        yield at


async def check(at: Gateway, name: str, reply: Reply) -> dict[str, Any]:
    """Hold one answer, and its receipt, against what it must be; return the receipt."""
    story = await at.kernel.library.story(reply.headers["x-helm-receipt-id"])
    assert story is not None
    receipt: dict[str, Any] = story["receipt"]
    one = HOSTILE[name]
    assert (name, receipt["status"], receipt["reason_code"]) == (name, one.status, one.code), story["reason"]
    if one.status == "SUCCESS":
        assert (name, reply.json()["output"]) == (name, one.output)
    assert receipt["sandbox_grant_hash"].startswith("sha256:")
    ran = one.status in ("SUCCESS", "FAILED")
    assert (receipt["module_hash"], bool(receipt["lease_id"])) == (sha256(one.module) if ran else "", ran)
    assert (name, receipt["trap"], dict(receipt["sandbox_limits"]).get("wall_ms", 0)) == (
        name,
        one.trap,
        one.timeout_ms if ran else 0,
    )
    return receipt


async def test_every_hostile_guest_ends_with_its_code_and_a_receipt(tmp_path: Path) -> None:
    async with house_of(tmp_path, HOSTILE) as at:
        for name in HOSTILE:
            await check(at, name, await at.call(name))
        assert (await at.call("read")).status == 200
    assert (tmp_path / "secret").read_text() == "9999"


async def test_a_hundred_runs_of_a_guest_are_one(tmp_path: Path) -> None:
    names = ("fuel-bomb", "divides-by-zero", "reads-where-it-may")
    async with house_of(tmp_path, {name: HOSTILE[name] for name in names}) as at:
        for name in names:
            runs = set()
            for _ in range(100):
                answer = await at.kernel.call(name, {"a": 1}, principal="agent")
                content = answer.receipt.content
                runs.add((content.status, content.reason_code, content.output_hash, content.fuel_used, answer.reason))
            assert len(runs) == 1, runs


async def test_two_hundred_guests_at_once_leave_the_kernel_answering(tmp_path: Path) -> None:
    burning = Hostile(
        module=guests.LOOP, code="ERR_COMPUTE_GAS_EXHAUSTED", granted="fuel = 10_000_000", timeout_ms=600_000
    )
    ended: list[tuple[str, int]] = []

    async def visit() -> None:
        answer = await at.kernel.call("burning", {}, principal="agent")
        ended.append((answer.reason_code, answer.receipt.content.fuel_used))

    limits = Limits(places=256, places_per_principal=256)
    async with house_of(tmp_path, {"burning": burning}, limits) as at, trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(visit)
        with trio.fail_after(60):
            assert (await at.call("read")).status == 200
            assert len(ended) < 200  # it answered while they burned
            for _ in range(4):
                assert (await at.call("read")).status == 200
    assert ended == [("ERR_COMPUTE_GAS_EXHAUSTED", 10_000_000)] * 200


ANY: Final = (
    "fuel-bomb",
    "memory-bomb",
    "output-flood",
    "recursion",
    "divides-by-zero",
    "reads-where-it-may",
    "climbs",
)
"""One of every way to end, for those that count what stays behind."""


async def visit_all(at: Gateway, rounds: int) -> None:
    for number in range(rounds):
        name = ANY[number % len(ANY)]
        answer = await at.kernel.call(name, {"n": number}, principal="agent")
        assert answer.receipt.content.status == HOSTILE[name].status


def held() -> tuple[int, int]:
    """Return how many threads this process has, and how many file descriptors."""
    gc.collect()
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("rounds", [70, pytest.param(1000, marks=pytest.mark.slow)])
async def test_nothing_of_a_guest_stays_behind(tmp_path: Path, rounds: int) -> None:
    async with house_of(tmp_path, {name: HOSTILE[name] for name in ANY}) as at:
        await visit_all(at, 3 * len(ANY))
        threads, descriptors = held()
        resident = resident_bytes()
        await visit_all(at, rounds)
        assert held()[1] <= descriptors + 2  # the journal may have begun another file
        assert held()[0] <= threads + 2
        assert resident_bytes() - resident < 24 * 1024 * 1024
