"""The machine code of one pinned module: made by one thread, once, for everyone who waits for it.

A module that takes minutes to compile holds that thread, and nobody else: whoever is cancelled meanwhile waits no more.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import attrs
import trio

from actors.connectors.guest_grant import check_version
from actors.connectors.module_cache import ModuleCache
from helm.contracts.errors import Broken
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxGrant
from helm.runtime.sandbox.guest import MAX_MODULE_BYTES, check_module, compiled, is_usable
from helm.runtime.sandbox.port import GuestEnded


def module_file(modules: Path, module_hash: str) -> Path:
    """Return where the module of this hash lies."""
    return modules / f"{module_hash.removeprefix('sha256:')}.wasm"


def read_module(file: Path) -> bytes:
    """Return the bytes of a module. Raises GuestEnded."""
    try:
        with file.open("rb") as module:
            return module.read(MAX_MODULE_BYTES + 1)
    except OSError as problem:
        reason = f"the module {file.name} cannot be read: {problem.strerror}"
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, reason) from problem


@attrs.define
class Pending:
    """One compilation: everyone who waits for it, and what it came to."""

    over: trio.Event = attrs.field(factory=trio.Event)
    code: bytes = b""
    refused: GuestEnded | None = None

    async def wait(self) -> bytes:
        """Return the machine code. Raises GuestEnded."""
        await self.over.wait()
        if self.refused is not None:
            raise GuestEnded(self.refused.code, self.refused.reason) from self.refused
        if not self.code:
            raise Broken("a module was neither compiled nor refused")
        return self.code


@attrs.define
class ModuleCode:
    """The machine code of the module that a grant pins. What was refused is looked at again by whoever asks next."""

    grant: SandboxGrant
    modules: Path
    _code: bytes = b""
    _pending: Pending | None = None

    async def get(self) -> bytes:
        """Return the machine code. Raises GuestEnded."""
        if self._code:
            return self._code
        if self._pending is None:
            self._pending = self._begin()
        return await self._pending.wait()

    def _begin(self) -> Pending:
        pending, token = Pending(), trio.lowlevel.current_trio_token()

        def work() -> None:
            try:
                pending.code = self.load()
            except GuestEnded as refused:
                pending.refused = refused

        def tell(_: object) -> None:
            with suppress(trio.RunFinishedError):  # a kernel that has ended waits for no module
                token.run_sync_soon(self._end, pending)

        trio.lowlevel.start_thread_soon(work, tell)
        return pending

    def _end(self, pending: Pending) -> None:
        self._code, self._pending = pending.code, None
        pending.over.set()

    def load(self) -> bytes:
        """Return the machine code, kept or made. Raises GuestEnded."""
        grant, cache = self.grant, ModuleCache(self.modules)
        found = read_module(module_file(self.modules, grant.module_hash))
        check_module(found, grant.module_hash)  # also where its machine code is kept: the module is what is pinned
        check_version(grant)
        kept = cache.get(grant.module_hash)
        if kept and is_usable(kept, grant.limits):
            return kept
        code = compiled(found, grant.module_hash, grant.limits)
        cache.put(grant.module_hash, code)
        return code
