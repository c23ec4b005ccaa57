"""A program of this machine as tools: pinned bytes, words without a shell, limits, and an end for all that it starts.

What was enforced is told by whoever enforced it, a keeper that stands between HELM and the program, and by bubblewrap,
which says whether it had set everything up. Nothing else is claimed. A grant that this host cannot keep starts nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from signal import Signals
from typing import Any, Final

import attrs
import trio

from actors.connectors.port import (
    ConnectorFailed,
    ConnectorUnknown,
    Dispatch,
    GuestFailed,
    NotDispatched,
    Ran,
    Unreachable,
)
from actors.connectors.programs import bubblewrap, keeper
from actors.connectors.programs.bubblewrap import Bubblewrap
from actors.connectors.programs.filter import count, refusing
from actors.connectors.programs.words import stdin_of, words_of
from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue, members
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxRun
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse, reread
from helm.crypto.hashing import content_id, hash_in
from helm.guardian.connection import Isolation, ProgramConnection, ProgramGrant
from helm.runtime.sandbox.traps import INTERRUPT, OUTPUT_EXHAUSTED

MAX_PROGRAMS: Final = 8
"""Programs of one connector at a time (T4)."""

END_S: Final = 5.0
"""How long a keeper may take to end what it keeps, before it is ended itself."""

PIECE: Final = 65_536
MAX_STATUS: Final = 65_536
"""What a keeper and a tool may tell (T4)."""

KEEPER: Final = Path(keeper.__file__)

Find = Callable[[], Awaitable[Bubblewrap | None]]


class ProgramConnector:
    """Runs the pinned program of one connection, one process tree per order."""

    def __init__(self, connection: ProgramConnection, *, find: Find = bubblewrap.find) -> None:
        self._connection = connection
        self._find = find
        self._tool: Bubblewrap | None = None
        self._places = trio.Semaphore(MAX_PROGRAMS, max_value=MAX_PROGRAMS)

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return the program's answer with the evidence of its run.

        Raises NotDispatched where it was not started, GuestFailed where it ended badly and could have touched nothing,
        ConnectorFailed where it said itself that it failed, ConnectorUnknown where it was ended.
        """
        grant = self._connection.grant
        if order.sandbox_grant_hash != self._connection.grant_hash:
            raise NotDispatched(ReasonCode.SANDBOX_VIOLATION, "the order is for another grant than this program's")
        operation = grant.operations.get(order.operation or order.tool)
        if operation is None:
            name = order.operation or order.tool
            raise NotDispatched(ReasonCode.POLICY_NOT_READY, f"the program has no operation {name!r}")
        words, source = words_of(order, operation), stdin_of(order, operation)
        async with self._place(), own_directory(grant.directory, grant.isolation) as directory:
            run = Run(order, self._connection)
            refuses = (
                b"" if grant.isolation == Isolation.NONE else refusing(network=grant.network or has_its_own(grant))
            )
            by = await self._by(filters=bool(refuses))
            told = {
                "by": by,
                "directory": directory,
                "environment": grant.environment,
                "filter": refuses.hex(),
                "killed": "pid namespace" if by else "",
                "landlock": fence_of(grant, directory),
                "limits": {name: value for name, value in members(grant.limits).items() if name in keeper.LIMITS},
                "program": grant.program,
                "program_hash": grant.program_hash,
                "refused_calls": count(refuses),
                "stdin": source.decode(),
                "words": [grant.program, *words],
            }
            await run.make(told)
        return run.outcome(self._tool)

    async def aclose(self) -> None:
        """Nothing is held between orders."""

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            await self._places.acquire()
        except trio.Cancelled:
            raise NotDispatched(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "no place was free in time") from None
        try:
            yield
        finally:
            self._places.release()

    async def _by(self, *, filters: bool) -> list[str]:
        """Return the words of the tool that isolates the program, none where no tool has to. Raises NotDispatched."""
        if self._connection.grant.isolation != Isolation.BUBBLEWRAP:
            return []
        if self._tool is None:
            self._tool = await self._find()
        if self._tool is None:
            what = "the grant asks for bubblewrap, which this host does not have: install it, or grant isolation = none"
            raise Unreachable(ReasonCode.SANDBOX_VIOLATION, what)
        return self._tool.words(self._connection.grant, filters=filters)


@attrs.define(eq=False)
class Run:
    """One run of a program: what it said, and what is known of it."""

    order: Dispatch
    connection: ProgramConnection
    output: bytearray = attrs.field(factory=bytearray, init=False)
    is_flood: bool = attrs.field(default=False, init=False)
    is_cut: bool = attrs.field(default=False, init=False)
    """Whether it was cancelled from outside."""
    keeper_code: int | None = attrs.field(default=None, init=False)
    told: dict[str, Any] = attrs.field(factory=dict, init=False)
    """What the keeper told: refused, or began, ended and left."""
    by_tool: dict[str, Any] = attrs.field(factory=dict, init=False)
    """What bubblewrap told: the exit code stands here only where everything had been set up."""

    async def make(self, told: dict[str, Any]) -> None:
        """Run the program to its end, whatever that is; a cancellation ends it, and ends here."""
        (mouth, ear), (status_mouth, status_ear) = os.pipe(), os.pipe()
        try:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-I", "-S", str(KEEPER), str(ear), str(status_ear)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                pass_fds=(ear, status_ear),
                start_new_session=True,
            )
        except BaseException:
            for descriptor in (mouth, status_mouth):
                os.close(descriptor)
            raise
        finally:
            os.close(ear)
            os.close(status_ear)
        says, tool_says = trio.lowlevel.FdStream(mouth), trio.lowlevel.FdStream(status_mouth)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, process)
                await ask(process, told)
            if not self.is_flood:
                await process.wait()
        except* trio.Cancelled:  # told again at the next step; what is known of the run is said before
            self.is_cut = True
        finally:
            with trio.CancelScope(shield=True):
                await self._end(process, says, tool_says)
                await says.aclose()
                await tool_says.aclose()

    async def _listen(self, process: trio.Process) -> None:
        """Take what the program says, up to its limit: one byte more ends it."""
        limit = self.connection.grant.limits.output_bytes
        if process.stdout is None:
            return
        while piece := await process.stdout.receive_some(PIECE):
            self.output += piece
            if len(self.output) > limit:
                self.is_flood = True
                return

    async def _end(
        self, process: trio.Process, says: trio.lowlevel.FdStream, tool_says: trio.lowlevel.FdStream
    ) -> None:
        """Have the keeper end all that is still there, and hear what it tells. Whatever is told, this ends."""
        with trio.move_on_after(END_S):
            if process.stdin is not None:
                await process.stdin.aclose()
            self.told = merged(await all_of(says))
            self.by_tool = merged(await all_of(tool_says))
            await process.wait()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
        self.keeper_code = process.returncode
        if process.stdout is not None:
            await trio.aclose_forcefully(process.stdout)

    def outcome(self, tool: Bubblewrap | None) -> Ran:
        """Return the answer. Raises as `dispatch` says."""
        if "refused" in self.told:
            raise Unreachable(refusal_of(self.told["refused"]), f"not started: {self.told['refused']}")
        if "began" not in self.told:
            raise self._unbegun()
        if tool is not None and "exit-code" not in self.by_tool and not (self.is_cut or self.is_flood):
            raise self._without_setup(tool)
        enforced = self.enforced(tool)
        self._check_end(enforced)
        run = self._evidence(enforced)
        try:
            answer = parse(bytes(self.output))
        except Malformed as problem:
            raise ConnectorFailed(f"the program's answer is no JSON: {problem}", run) from problem
        return Ran(answer, run, f"enforced: {enforced}")

    def _unbegun(self) -> Exception:
        """Return what is known where the keeper told of no beginning: one that was killed may have begun it."""
        if self.keeper_code != 0:
            return ConnectorUnknown("the program's keeper was killed: the program may have been started")
        if self.is_cut:
            return NotDispatched(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "cancelled before the program was started")
        return NotDispatched(ReasonCode.SANDBOX_VIOLATION, "its keeper ended before it had started anything")

    def _without_setup(self, tool: Bubblewrap) -> Exception:
        """Return what is known of a run whose isolation was not confirmed: a killed tool may have started it."""
        ended = self.told.get("ended", {})
        if "child-pid" not in self.by_tool or ended.get("exit"):
            what = f"{tool.version} could not set up what the grant asks for: nothing was started"
            return Unreachable(ReasonCode.SANDBOX_VIOLATION, what)
        enforced = self.enforced(tool)
        what = "the program's isolation ended with it"
        return self._broken(ReasonCode.ERR_COMPUTE_TRAP, what, enforced, ISOLATION_ENDED)

    def enforced(self, tool: Bubblewrap | None) -> str:
        """Return, as canonical JSON, what was enforced: by the keeper, by bubblewrap, and by us who count."""
        grant = self.connection.grant
        found: dict[str, JSONValue] = dict(self.told.get("began", {}))
        found |= {"environment": "clean", "output_bytes": grant.limits.output_bytes, "wall_ms": self.order.timeout_ms}
        if grant.isolation != Isolation.NONE:
            found["network"] = "granted" if grant.network else "none"
        if tool is not None:
            found |= {"by": tool.version, "files": "granted only"}
        if self.told.get("left"):
            found["left"] = self.told["left"]
        return canonical(found).decode()

    def _evidence(self, enforced: str, trap: str = "") -> SandboxRun:
        """Return what the receipt says of the run: its lease binds what was enforced, limits among it."""
        found: dict[str, JSONValue] = reread(enforced.encode())
        lease = {
            "decision_id": self.order.decision_id,
            "enforced": found,
            "sandbox_grant_hash": self.order.sandbox_grant_hash,
            "wall_ms": self.order.timeout_ms,
        }
        lease_id = content_id("lease_", hash_in(domains.LEASE, canonical(lease)))
        return SandboxRun(
            fuel_used=0,
            lease_id=lease_id,
            limits=tuple((name, found[name]) for name in sorted(LIMITS & found.keys())),
            module_hash=self.connection.grant.program_hash,
            trap=trap,
        )

    def _check_end(self, enforced: str) -> None:
        """Raise unless the program ended by itself, and said that all went well."""
        ended = self.told.get("ended", {})
        if self.is_cut:
            raise self._broken(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "the program was ended", enforced, INTERRUPT)
        if self.is_flood:
            limit = self.connection.grant.limits.output_bytes
            what = f"the program said more than {limit} bytes"
            raise self._broken(ReasonCode.ERR_COMPUTE_OUTPUT_EXHAUSTED, what, enforced, OUTPUT_EXHAUSTED)
        number = ended.get("signal", 0) or killed_inside(ended.get("exit", 0), confined="exit-code" in self.by_tool)
        if number:
            code = BY_SIGNAL.get(number, ReasonCode.ERR_COMPUTE_TRAP)
            name = Signals(number).name
            raise self._broken(code, f"the program was ended by {name}", enforced, name)
        if ended.get("exit", 1):
            what = f"the program ended with exit status {ended.get('exit', '?')}; enforced: {enforced}"
            raise ConnectorFailed(what, self._evidence(enforced))

    def _broken(self, code: ReasonCode, reason: str, enforced: str, trap: str) -> Exception:
        """Return how a run is told that did not end by itself: what it may have done is unknown, or nothing at all."""
        run = self._evidence(enforced, trap)
        words = f"{reason}; enforced: {enforced}"
        if self.connection.grant.is_harmless:
            return GuestFailed(code, words, run)
        return ConnectorUnknown(words, run)


LIMITS: Final = frozenset(keeper.LIMITS) | {"output_bytes", "wall_ms"}
"""What of that which was enforced is a figure."""

ISOLATION_ENDED: Final = "isolation ended"

BY_SIGNAL: Final = {
    int(Signals.SIGXCPU): ReasonCode.ERR_COMPUTE_GAS_EXHAUSTED,
    int(Signals.SIGXFSZ): ReasonCode.ERR_COMPUTE_OUTPUT_EXHAUSTED,
}


def killed_inside(status: int, *, confined: bool) -> int:
    """Return the signal that an exit status stands for: bubblewrap tells of one as shells do, 128 and its number."""
    number = status - 128
    return number if confined and 0 < number < 65 and number in {int(one) for one in Signals} else 0


def refusal_of(reason: str) -> ReasonCode:
    """Return the code of a keeper's refusal."""
    is_other = "not the one that the policy pins" in reason
    return ReasonCode.ERR_PACK_HASH_MISMATCH if is_other else ReasonCode.SANDBOX_VIOLATION


async def ask(process: trio.Process, told: dict[str, Any]) -> None:
    """Give the keeper its order; one that is gone is heard of otherwise."""
    if process.stdin is None:
        return
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await process.stdin.send_all(canonical(told) + b"\n")


async def all_of(stream: trio.lowlevel.FdStream) -> bytes:
    """Return everything that is told, until its end."""
    heard = bytearray()
    while (piece := await stream.receive_some(PIECE)) and len(heard) < MAX_STATUS:
        heard += piece
    return bytes(heard)


def merged(lines: bytes) -> dict[str, Any]:
    """Return the members of all objects that were told, one a line; what is no object is not told."""
    found: dict[str, Any] = {}
    for line in lines.splitlines():
        with suppress(Malformed):
            said = parse(line)
            found |= said if type(said) is dict else {}
    return found


def has_its_own(grant: ProgramGrant) -> bool:
    """Tell whether a program stands in a network of its own, in which a socket leads nowhere."""
    return grant.isolation == Isolation.BUBBLEWRAP


def fence_of(grant: ProgramGrant, directory: str) -> dict[str, JSONValue]:
    """Return the files that Landlock leaves to a program, nothing where it is not Landlock's. Raises NotDispatched."""
    if grant.isolation != Isolation.LANDLOCK:
        return {}
    if not keeper.IS_LINUX or not (grant.network or refusing(network=False)):
        what = "the grant asks for Landlock, and for a filter where it withholds the network: this host has not both"
        raise Unreachable(ReasonCode.SANDBOX_VIOLATION, what)
    return {
        "libraries": list(bubblewrap.LIBRARIES),
        "network": grant.network,
        "reads": list(grant.reads),
        "writes": [*grant.writes, *(() if grant.directory else (directory,))],
    }


@asynccontextmanager
async def own_directory(named: str, isolation: str) -> AsyncIterator[str]:
    """Yield where the keeper begins: a directory that the grant names, or an empty one that is gone afterwards."""
    if isolation == Isolation.BUBBLEWRAP:  # it makes its own
        yield "/"
        return
    if named:
        yield named
        return
    directory = await trio.to_thread.run_sync(make_directory)
    try:
        yield directory.name
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(partial(directory.cleanup))


def make_directory() -> tempfile.TemporaryDirectory[str]:
    """Return an empty directory of the user that the program runs as."""
    directory = tempfile.TemporaryDirectory(prefix="helm-program-", ignore_cleanup_errors=True)
    if os.getuid() == 0:
        os.chown(directory.name, keeper.NOBODY, keeper.NOBODY)
    return directory
