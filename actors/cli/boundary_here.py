"""What `helm boundary` reads off a data directory: no kernel is asked, and none is disturbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.cli.checkpoint.source import prove
from actors.cli.failure import Failed
from actors.cli.place import open_place
from actors.cli.receipt_source import backwards, holding
from actors.cli.receipts import state_of_journal
from actors.conforming.believing import level_held
from actors.installation import GENESIS_FILE, Installation
from actors.policy_file import read_policy
from actors.process.clock import SystemClock
from actors.stores.glance import glance
from actors.stores.which import POSTGRESQL
from actors.trust_log import registry_of
from helm.conformance.report import NO_LEVEL
from helm.contracts.errors import Invalid
from helm.crypto.numbers import MAX_SAFE
from helm.evidence.record_check import Held, verify_record
from helm.guardian.policy import NO_POLICY, Policy
from helm.surfaces.boundary import Standing, moment
from helm.surfaces.records import WantedRecords


def standing_here(place: Installation) -> Standing:
    """Return what a data directory says of itself: its whole log is read, and every link of it verified."""
    state = state_of_journal(place.journal_at, place.log_id)
    latest = state.checkpoints.latest
    return Standing(
        memory=state.memory,
        policy=policy_of(place),
        log_id=place.log_id,
        mode="standalone",
        refusing="",
        signer=place.execution_key().key_id,
        store=POSTGRESQL if place.config.database_url else place.config.journal,
        last_checkpoint_hash="" if latest is None else latest.checkpoint_hash,
        now_ms=SystemClock().now_ms(),
    )


def level_here(data_dir: Path) -> str:
    """Return the conformance level that the directory's latest report that holds has reached, "none" without one."""
    if not (data_dir / GENESIS_FILE).exists():
        return NO_LEVEL
    return level_held(data_dir, registry_of(open_place(data_dir)), MAX_SAFE)


def policy_of(place: Installation) -> Policy:
    """Return the policy of the directory's file, none where there is none that compiles."""
    try:
        return read_policy(place.policy_path)
    except Invalid:
        return NO_POLICY


def records_here(place: Installation, wanted: WantedRecords, limit: int) -> list[dict[str, Any]]:
    """Return the last records of a journal that are wanted, oldest first. Raises Invalid."""
    found: list[dict[str, Any]] = []
    with glance(place.journal_at) as journal:
        for _, body in backwards(journal):
            record = wanted.pick(body)
            if record is not None:
                found.append(record)
                if len(found) == limit:
                    break
    return found[::-1]


def record_here(data_dir: Path, record_id: str) -> dict[str, Any] | None:
    """Return one record of a journal, None where there is none. Raises Invalid."""
    found = held_here(open_place(data_dir), record_id)
    return None if found is None else found.record


def held_here(place: Installation, record_id: str) -> Held | None:
    """Return a record and what stands beside it, None where there is none. Raises Invalid."""
    decision_id = "dec_" + record_id.removeprefix("rec_")
    record: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    receipt: dict[str, Any] | None = None
    lamport = 0
    with glance(place.journal_at) as journal:
        for _, entry in holding(journal, decision_id):
            payload, sealed = entry["node"]["payload"], entry["beside"].get("receipt")
            if sealed is not None and sealed["decision_id"] == decision_id:
                receipt, lamport = sealed, entry["node"]["lamport"]
            if payload.get("record", {}).get("record_id") == record_id:
                record, decision = payload["record"], payload.get("decision")
                break
    if record is None:
        return None
    return Held(
        record=record, decision=decision, receipt=receipt, lamport=lamport, inclusion=proof_of(place, record_id)
    )


def proof_of(place: Installation, record_id: str) -> dict[str, Any] | None:
    """Return the proof that a record lies under a checkpoint, None where none covers it yet."""
    try:
        return prove(place, record_id)
    except Failed:
        return None


def verified_here(place: Installation, record_id: str) -> dict[str, Any]:
    """Return what checking a record comes to, here and now. Raises Failed."""
    held = held_here(place, record_id)
    if held is None:
        raise Failed(f"there is no record {record_id}", "`helm boundary records` shows them", "NOT_FOUND")
    return verify_record(held, registry_of(place)) | {"verified_at": moment(SystemClock().now_ms())}
