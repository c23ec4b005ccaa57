"""What of this machine contains untrusted code, tried and not merely looked for, and what each lack means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import trio

from actors.cli.finding import Finding
from actors.cli.launch.preflight import ENGINES, look
from actors.installation import Installation
from actors.policy_file import read_signed
from helm.contracts.errors import Invalid, Refused
from helm.guardian.connection import (
    HARDENED,
    Connection,
    Isolation,
    LaunchConnection,
    ProgramConnection,
    Tier,
    WasmConnection,
)
from helm.launch.tiers import Host, tiers

T = TypeVar("T")

COMMAND = bytes.fromhex(
    "0061736d01000000"  # a module
    "010401600000 03020100"  # with one function, which takes and returns nothing
    "0503010001 0713 02 066d656d6f7279 0200 065f7374617274 0000"  # with a page of memory, and a name for each
    "0a040102000b"  # and with nothing to do
)
"""The smallest guest that there is."""


def examine_containment(place: Installation | None) -> Iterator[Finding]:
    """Yield what contains guests, programs and agents here. What the policy needs and does not find is a failure."""
    connectors = connectors_of(place)
    isolations = {one.grant.isolation for one in connectors if isinstance(one, ProgramConnection)}
    yield guests(is_needed=any(isinstance(one, WasmConnection) for one in connectors))
    yield bubblewrap(is_needed=Isolation.BUBBLEWRAP in isolations)
    yield landlock(is_needed=Isolation.LANDLOCK in isolations)
    hosts = finished(look)
    for name in ENGINES:
        agents = [one for one in connectors if isinstance(one, LaunchConnection) and one.grant.engine == name]
        yield containers(name, hosts[name], agents)


def connectors_of(place: Installation | None) -> tuple[Connection, ...]:
    """Return what the policy connects to, nothing where there is none to be read: that is told by another check."""
    if place is None:
        return ()
    try:
        return tuple(read_signed(place.policy_path).policy.connectors.values())
    except (Invalid, Refused, OSError):
        return ()


def lacking(check: str, detail: str, hint: str, *, is_needed: bool) -> Finding:
    """Return what a lack means: a failure where the policy needs it, and otherwise something to know."""
    return Finding(check, "fail" if is_needed else "note", detail, hint)


def guests(*, is_needed: bool) -> Finding:
    """Run a guest."""
    from actors.connectors.guest_grant import RUNTIME_VERSION
    from helm.contracts.sandbox import SandboxLimits
    from helm.crypto.hashing import sha256
    from helm.runtime.sandbox.cell import Cell
    from helm.runtime.sandbox.guest import PAGE, compiled
    from helm.runtime.sandbox.port import Guest, GuestEnded

    limits = SandboxLimits(
        fuel=1000, memory_bytes=PAGE, open_files=1, output_bytes=1, stack_bytes=8 * PAGE, wall_ms=1000
    )
    try:
        Cell(compiled(COMMAND, sha256(COMMAND), limits), limits).run(Guest(b""), Now())
    except GuestEnded as ended:
        hint = "tools behind a connector of kind wasm end with SANDBOX_VIOLATION"
        return lacking("guests", f"wasmtime {RUNTIME_VERSION}: {ended.reason}", hint, is_needed=is_needed)
    return Finding("guests", "ok", f"wasmtime {RUNTIME_VERSION} ran one")


class Now:
    """Nobody wants the guest to end."""

    is_asked = False


def bubblewrap(*, is_needed: bool) -> Finding:
    """Have bubblewrap confine a program that does nothing."""
    from actors.connectors.programs.bubblewrap import find, works

    check, hint = "bubblewrap", 'programs are not started, but for those with isolation = "landlock" or "none"'
    tool = finished(find)
    if tool is None:
        return lacking(check, "is not installed", f"{hint}: install bubblewrap", is_needed=is_needed)
    if not finished(lambda: works(tool)):
        detail = f"{tool.version} is there, and this machine lets it make no namespace"
        return lacking(check, detail, f"{hint}: allow user namespaces", is_needed=is_needed)
    return Finding(check, "ok", f"{tool.version}: user, process, network and mount namespaces")


def landlock(*, is_needed: bool) -> Finding:
    """Ask the kernel for its Landlock, and whether it takes filters of ours."""
    from actors.connectors.programs import keeper
    from actors.connectors.programs.filter import count, refusing

    refused = count(refusing(network=True)) if keeper.filters() else 0
    filtered = f"a filter refuses {refused} system calls" if refused else "no filter of system calls"
    version = keeper.landlock_version()
    detail = f"version {version}, {filtered}"
    hint = 'programs with isolation = "landlock" are not started'
    if version < keeper.OLDEST_LANDLOCK:
        return lacking("landlock", detail, f"{hint}: a kernel from 6.2 on has it", is_needed=is_needed)
    if not refused:
        return lacking("landlock", detail, f"{hint} without network = true", is_needed=is_needed)
    if version < keeper.SCOPING_LANDLOCK:
        what = "a program under Landlock can end others of its user: from 6.12 on it cannot"
        return Finding("landlock", "ok", detail, what)
    return Finding("landlock", "ok", detail)


def containers(name: str, host: Host | None, agents: Iterable[LaunchConnection]) -> Finding:
    """Say which isolation tiers an engine shows, and whether the policy's agents could be launched by it."""
    from actors.connectors.launch.engine import find

    missing = [one for one in agents if host is None or Tier(one.grant.tier) not in tiers_for(host, one)]
    hint = f"{', '.join(one.name for one in missing)} cannot be launched: ERR_ISOLATION_TIER_UNAVAILABLE"
    if host is None:
        detail = "is not installed" if find(name) is None else "its command is there, and no daemon answers it"
        agents_hint = hint if missing else "no agent can be launched by it"
        return lacking(name, detail, agents_hint, is_needed=bool(missing))
    shown = ", ".join(f"{one.value}{'' if one in HARDENED else ' (baseline)'}" for one in tiers(host))
    detail = f"{host.version}: {shown}"
    return lacking(name, detail, hint, is_needed=True) if missing else Finding(name, "ok", detail)


def tiers_for(host: Host, agent: LaunchConnection) -> frozenset[Tier]:
    """Return the tiers that are there for one agent: that a machine is dedicated is its policy's word."""
    return frozenset(tiers(host, dedicated=agent.grant.dedicated))


def finished(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what an answer comes to, in a loop of its own: whoever examines may stand in one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(trio.run, ask).result()
