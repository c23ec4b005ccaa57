"""The vectors and what a server under test is set up with, as they lie beside the packages.

In a source tree and in an installed program alike, `conformance/` stands where `helm/` and `actors/` stand.
"""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

from helm.conformance.vector_set import SCHEMA_FILE, VectorSet, read_set
from helm.contracts.errors import Invalid

PLACE: Final = Path(__file__).resolve().parents[2] / "conformance"
VECTORS: Final = PLACE / "vectors"
SETUP: Final = PLACE / "setup"


@cache
def vector_set() -> VectorSet:
    """Return the vectors that came with this program. Raises Invalid."""
    files = {file.name: read(file) for file in sorted(VECTORS.glob("*.toml"))}
    if not files:
        raise Invalid("no vectors are there", str(VECTORS), "install the program anew: they belong to it")
    return read_set(files, json.loads(read(VECTORS / SCHEMA_FILE)))


def policy_text() -> str:
    """Return the conformance policy, with the places that a setup fills. Raises Invalid."""
    return read(SETUP / "policy.toml")


def guests() -> dict[str, bytes]:
    """Return the modules of the policy's guests, by name. Raises Invalid."""
    said = tomllib.loads(read(SETUP / "guests.toml"))
    return {name: bytes.fromhex(one["module"]) for name, one in said.items()}


def read(file: Path) -> str:
    """Return a file of the program. Raises Invalid."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as problem:
        hint = "install the program anew: it belongs to it"
        raise Invalid(f"cannot be read: {problem.strerror}", str(file), hint) from problem
