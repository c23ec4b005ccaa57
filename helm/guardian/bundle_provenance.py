"""Reads what provenance a bundle demands of code that it pins: by whom it must have been built, and from what.

The provenance itself is looked at where the code is plugged in. What it must say stands in a policy of its own, which
is pinned here, so that the bundle's signature covers it.
"""

from __future__ import annotations

import re

from helm.contracts.errors import Invalid
from helm.guardian.bundle_table import Table
from helm.guardian.connection import ProvenanceDemand

HASH = re.compile(r"sha256:[0-9a-f]{64}")
FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,7}")
"""A file below the data directory: no step climbs, none is hidden."""


def read_provenance(table: Table) -> ProvenanceDemand | None:
    """Return what is demanded of a connector's code, None where nothing is. Raises Invalid."""
    if not table.has("provenance"):
        return None
    below = table.table("provenance")
    demand = ProvenanceDemand(
        envelope=read_file(below, "envelope"),
        policy=read_file(below, "policy"),
        policy_hash=below.text("policy_hash"),
    )
    if HASH.fullmatch(demand.policy_hash) is None:
        hint = "write sha256: and 64 lower-case hex digits: sha256sum of the policy"
        raise Invalid("not a hash", below.at("policy_hash"), hint)
    below.finish()
    return demand


def read_file(table: Table, member: str) -> str:
    """Return a file's place below the data directory. Raises Invalid."""
    file = table.text(member)
    if FILE.fullmatch(file) is None:
        raise Invalid("not a file below the data directory", table.at(member), "a relative path of plain names")
    return file
