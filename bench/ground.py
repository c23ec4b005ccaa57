"""A real installation to measure on: keys, a signed policy and SQLite on disk, a local function as the tool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from actors.founding import found_installation
from actors.installation import Installation
from actors.kernel import Kernel, Limits
from actors.opening import open_kernel
from actors.policy_file import sign_text
from actors.process.clock import SystemClock

POLICY = """
version = "helm.policy/1"
scope = "bench"
epoch = 1

[connectors.notes]
kind = "local"

[tools."notes.read"]
connector = "notes"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]

[[tools."notes.read".requires]]
id = "inside-public"
cel = 'args.path.startsWith("public/")'
reason = "only public notes"

[tools."notes.read".input]
type = "object"
additionalProperties = false
required = ["path", "limit"]
[tools."notes.read".input.properties.path]
type = "string"
maxLength = 200
[tools."notes.read".input.properties.limit]
type = "integer"
minimum = 1
maximum = 100

[tools."notes.read".output]
type = "object"
additionalProperties = false
required = ["text", "bytes"]
[tools."notes.read".output.properties.text]
type = "string"
[tools."notes.read".output.properties.bytes]
type = "integer"
"""

ALLOWED = {"path": "public/plan.txt", "limit": 10}
DENIED = {"path": "private/salaries.txt", "limit": 10}


async def read_note(arguments: Any) -> dict[str, object]:
    """Answer like a small local tool."""
    return {"text": "the plan is to measure", "bytes": 22}


@asynccontextmanager
async def kernel_to_measure(limits: Limits | None = None) -> AsyncIterator[Kernel]:
    """Run a kernel on a fresh data directory."""
    with TemporaryDirectory(prefix="helm-bench-") as directory:
        async with kernel_at(place_at(Path(directory) / "data"), limits) as kernel:
            yield kernel


def place_at(path: Path) -> Installation:
    """Return a fresh installation in a directory that is not there yet."""
    found_installation(path, clock=SystemClock())
    return Installation.open(path)


@asynccontextmanager
async def kernel_at(place: Installation, limits: Limits | None = None) -> AsyncIterator[Kernel]:
    """Run a kernel under the bench policy on an installation."""
    policy = sign_text(POLICY, "bench policy", place.policy_key())
    connectors = {"notes": {"notes.read": read_note}}
    async with open_kernel(place, policy=policy, connectors=connectors, limits=limits) as kernel:
        yield kernel
