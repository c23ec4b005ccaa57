"""A conformance run in a process of its own, for a kernel that was asked for one: one JSON object in, one out."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from actors.cli.conform.reading import wanted
from actors.cli.conform.running import keep, perform, signer_of, tested
from actors.cli.failure import Failed
from actors.conforming.material import vector_set
from helm.conformance.choosing import to_run
from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes, reread

POLITENESS: Final = 10
"""How far a run stands back: calls are judged first."""

MIB: Final = 2**20


def serve() -> None:
    """Be the process: run what the command line names, keep the signed report, and tell it."""
    said = reread(sys.argv[1].encode())
    os.nice(POLITENESS)
    most = said["memory_mib"] * MIB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (said["cpu_s"], said["cpu_s"]))  # who would kill it may be dead itself
    try:
        told: dict[str, Any] = {"done": ran(**said["asked"])}
    except (Invalid, Failed) as problem:
        told = {"refused": str(problem)}
    sys.stdout.buffer.write(record_bytes(told))


def ran(data_dir: str, room: str, level: str, categories: list[str]) -> dict[str, Any]:
    """Return the signed report of a run, whose servers live in `room`. Raises Invalid, Failed."""
    tempfile.tempdir = room
    vectors, place = to_run(vector_set(), wanted(level, categories, (), None)), Path(data_dir)
    with tested(None, None, vectors) as stage:
        document = perform(stage, vectors, signer_of(stage, None, place), quiet=True)
    keep(document, None, place)
    return document
