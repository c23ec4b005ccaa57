"""Provenance where it bites: code that a policy pins is plugged in only when its demanded provenance holds (T1, T3)."""

from __future__ import annotations

from pathlib import Path

from actors.outside.file import read_whole
from helm.contracts.errors import Invalid
from helm.crypto.dsse import MAX_ENVELOPE_BYTES
from helm.crypto.hashing import PREFIX, sha256
from helm.guardian.connection import Connection, ProgramConnection, ProvenanceDemand, WasmConnection


def check_provenance(connection: Connection, base: Path) -> None:
    """Raise Invalid where a policy demands provenance of this connector's code, and there is none that is taken.

    `base` is the data directory. What runs is bound to the same hash: a module or program with another never starts.
    """
    if isinstance(connection, (ProgramConnection, WasmConnection)) and connection.provenance is not None:
        check_demand(connection.provenance, connection.pinned_hash, f"connectors.{connection.name}.provenance", base)


def check_demand(demand: ProvenanceDemand, pinned_hash: str, place: str, base: Path) -> None:
    """Raise Invalid unless the code of this hash was built as the demand says."""
    from helm.supply.provenance_policy import MAX_POLICY_BYTES  # here: most policies demand nothing
    from helm.supply.slsa import ProvenanceReading, verify_provenance

    policy = read_whole(base / demand.policy, MAX_POLICY_BYTES)
    if sha256(policy) != demand.policy_hash:
        hint = f"it is {sha256(policy)}: pin that if you changed it, and sign the bundle again"
        raise Invalid(f"the provenance policy {demand.policy} is not the one that is pinned", place, hint)
    reading = ProvenanceReading(
        raw=read_whole(base / demand.envelope, MAX_ENVELOPE_BYTES),
        policy_raw=policy,
        artifact=bytes.fromhex(pinned_hash.removeprefix(PREFIX)),
    )
    findings = verify_provenance(reading)
    if findings.failed is not None:
        what = (
            f"the pinned code has no provenance that is taken: check {findings.failed.number}, {findings.failed.name}: "
        )
        raise Invalid(what + findings.failed.detail, place, findings.hint or "nothing of this policy is plugged in")
