"""A module is compiled once for all who wait, and holds nobody who waits no more."""

from __future__ import annotations

import threading
from pathlib import Path

import attrs
import pytest
import trio

from actors.connectors.compiling import ModuleCode, module_file
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxGrant
from helm.crypto.hashing import sha256
from helm.guardian.bundle_grants import read_grant
from helm.guardian.bundle_table import Table
from helm.runtime.sandbox.port import GuestEnded
from tests.helm.runtime import guests

GRANT: SandboxGrant = read_grant(Table("", {"module_hash": sha256(guests.ECHO)}))


@attrs.define
class SlowCode(ModuleCode):
    """A module that is compiled only when the test lets it be."""

    may_end: threading.Event = attrs.field(factory=threading.Event)
    loads: int = 0

    def load(self) -> bytes:
        self.loads += 1
        assert self.may_end.wait(60)
        return super().load()


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    module_file(tmp_path, sha256(guests.ECHO)).write_bytes(guests.ECHO)
    return tmp_path


async def test_one_thread_compiles_for_everyone_and_holds_nobody(modules: Path) -> None:
    code = SlowCode(GRANT, modules)
    found: list[bytes] = []

    async def wait() -> None:
        found.append(await code.get())

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0) as impatient:
                await code.get()
            assert impatient.cancelled_caught
            for _ in range(5):
                nursery.start_soon(wait)
            code.may_end.set()
    assert (code.loads, len(found), len(set(found))) == (1, 5, 1)


async def test_what_was_refused_is_looked_at_again(tmp_path: Path) -> None:
    code = ModuleCode(GRANT, tmp_path)
    with trio.fail_after(60):
        for _ in range(2):
            with pytest.raises(GuestEnded) as ended:
                await code.get()
            assert ended.value.code is ReasonCode.SANDBOX_VIOLATION
        module_file(tmp_path, sha256(guests.ECHO)).write_bytes(guests.ECHO)
        assert await code.get()
