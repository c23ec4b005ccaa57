"""Guests as a policy declares them, and where an installation keeps their modules."""

from __future__ import annotations

from pathlib import Path

from actors.connectors.compiling import module_file
from actors.connectors.wasm import WasmConnector
from actors.plugging import MODULES
from helm.crypto.hashing import sha256
from helm.guardian.connection import WasmConnection
from helm.guardian.policy import Policy


def with_guest(policy: str, module: bytes, *, fuel: int = 1_000_000, timeout_ms: int = 2_000, granted: str = "") -> str:
    """Return `policy` with one more tool, `guest`, that is this module."""
    return f"""{policy}
[connectors.guests]
kind = "wasm"
module_hash = "{sha256(module)}"
fuel = {fuel}
wall_ms = {max(timeout_ms, 5_000)}
{granted}

[tools.guest]
connector = "guests"
effect_type = "execute"
risk_tier = "T2"
timeout_ms = {timeout_ms}
principals = ["*"]
input = {{}}
output = {{}}
"""


def keep(place: Path, module: bytes, *, under: bytes = b"") -> None:
    """Put a module where an installation looks for it, or another one under its name."""
    folder = place / MODULES
    folder.mkdir(exist_ok=True)
    module_file(folder, sha256(under or module)).write_bytes(module)


def guests_of(policy: Policy, place: Path) -> dict[str, WasmConnector]:
    """Return a connector for every wasm connection of a policy."""
    return {
        name: WasmConnector(connection, place / MODULES)
        for name, connection in policy.connectors.items()
        if isinstance(connection, WasmConnection)
    }
