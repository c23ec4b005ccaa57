"""Reads what a bundle grants to a guest of the sandbox: its limits, and nothing else (T4)."""

from __future__ import annotations

import re

from helm.contracts.errors import Invalid
from helm.contracts.sandbox import DENY_DEFAULT, SandboxGrant, SandboxLimits
from helm.guardian.bundle_table import Table

HASH = re.compile(r"sha256:[0-9a-f]{64}")

DEFAULT_FUEL, MAX_FUEL = 1_000_000, 10**12
DEFAULT_MEMORY_BYTES, MAX_MEMORY_BYTES = 64 * 1024 * 1024, 1024 * 1024 * 1024
DEFAULT_OUTPUT_BYTES, MAX_OUTPUT_BYTES = 1024 * 1024, 1024 * 1024
DEFAULT_STACK_BYTES, MAX_STACK_BYTES = 512 * 1024, 1024 * 1024

PAGE = 65_536
"""Bytes of one page of linear memory: less than one, and no module could begin."""


def read_grant(table: Table) -> SandboxGrant:
    """Return what the module of this connector is granted. Raises Invalid."""
    limits = SandboxLimits(
        fuel=table.whole("fuel", (1, MAX_FUEL), DEFAULT_FUEL),
        memory_bytes=table.whole("memory_bytes", (PAGE, MAX_MEMORY_BYTES), DEFAULT_MEMORY_BYTES),
        output_bytes=table.whole("output_bytes", (1, MAX_OUTPUT_BYTES), DEFAULT_OUTPUT_BYTES),
        stack_bytes=table.whole("stack_bytes", (PAGE, MAX_STACK_BYTES), DEFAULT_STACK_BYTES),
    )
    return SandboxGrant(limits=limits, module_hash=read_module_hash(table), profile=DENY_DEFAULT)


def read_module_hash(table: Table) -> str:
    """Return the pin of a module, as the house writes hashes. Raises Invalid."""
    module_hash = table.text("module_hash")
    if HASH.fullmatch(module_hash) is None:
        raise Invalid("not a hash", table.at("module_hash"), "write sha256: and 64 lower-case hex digits")
    return module_hash
