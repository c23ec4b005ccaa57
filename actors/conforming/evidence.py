"""What a server leaves behind, taken away and verified here, with nothing but the caller's trust root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from actors.conforming.target import OPERATOR
from actors.conforming.wire import Unfit, Wire
from helm.conformance.judge import Check, Seen
from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import PublicKey
from helm.evidence.checkpoint_document import check_inclusion
from helm.evidence.replay_report import replay_report
from helm.evidence.verify import verify_pack

EXPORT: Final = "/api/v1/evidence/export"
VERIFY: Final = "/api/v1/evidence/verify"
CHECKPOINTS: Final = "/api/v1/boundary/checkpoints"
PROOFS: Final = "/api/v1/boundary/proofs"

REFUSED: Final = 422


def pack(wire: Wire, seen: Seen) -> Check:
    """Verify the session's pack offline."""
    report = verify_pack(exported(wire, seen), wire.server.root)
    failed = report.failed
    wrong = "" if failed is None else f"check {failed.number}, {failed.name}: {failed.detail}"
    if not wrong and report.subject.receipts != len(seen.session):
        wrong = f"{report.subject.receipts} receipts in the pack, {len(seen.session)} in the session"
    return Check(name="pack", detail=wrong)


def replay(wire: Wire, seen: Seen) -> Check:
    """Judge every call of the session again."""
    report = replay_report(exported(wire, seen), wire.server.root)
    if not report.verified:
        return Check(name="replay", detail=str(report.body(with_calls=False)))
    judged = report.judged
    wrong = "" if judged == len(seen.session) else f"{judged} calls were judged again of {len(seen.session)}"
    return Check(name="replay", detail=wrong)


def checkpoint(wire: Wire, seen: Seen) -> Check:
    """Have a checkpoint taken, and verify that the record lies under it."""
    wire.obeyed(CHECKPOINTS, {}, by=OPERATOR)
    record = seen.story["record"]
    document = wire.get(f"{PROOFS}/{record['record_id']}", by=OPERATOR)
    try:
        check_inclusion(document, PublicKey.from_hex(wire.server.execution_key), "inclusion")
    except Invalid as problem:
        return Check(name="checkpoint", detail=f"{problem.where}: {problem.what}")
    return Check(name="checkpoint", detail="" if document["record"] == record else "the proof is of another record")


def tamper(wire: Wire, seen: Seen) -> Check:
    """Show the server its own pack, as it is and with one digit changed: it must know the two apart."""
    raw, said = exported(wire, seen), seen.story["record"]["record_hash"].encode()
    place = raw.index(said) + len(said) - 1
    changed = raw[:place] + (b"0" if raw[place : place + 1] != b"0" else b"1") + raw[place + 1 :]
    headers, query = {"content-type": "application/x-tar"}, {"log_id": wire.server.log_id}
    found = [
        wire.client(OPERATOR).send("POST", VERIFY, query=query, content=one, headers=headers).status
        for one in (raw, changed)
    ]
    wrong = "" if found == [200, REFUSED] else f"the pack got {found[0]}, the changed one {found[1]}"
    return Check(name="tamper", detail=wrong)


def exported(wire: Wire, seen: Seen) -> bytes:
    """Return the session's pack, as an operator gets it. Raises Unfit."""
    query = {"session_id": seen.asked.session_id, "tenant": "default"}
    answered = wire.client(OPERATOR).send("GET", EXPORT, query=query)
    if answered.status != 200:
        raise Unfit(f"the pack was answered {answered.status} {answered.body[:300]!r}")
    return answered.body


CHECKS: Final[Mapping[str, Callable[[Wire, Seen], Check]]] = {
    "checkpoint": checkpoint,
    "pack": pack,
    "replay": replay,
    "tamper": tamper,
}
"""By the word of the step."""
