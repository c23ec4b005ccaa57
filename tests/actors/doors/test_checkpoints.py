"""Checkpoints over HTTP: who takes them, what anyone can check with them, and whose proofs are whose."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.evidence.checkpoint_document import check_document
from helm.evidence.equivocation import check_no_equivocation, read_statement
from helm.evidence.note import TIMESTAMPED, read_note, verifier_key
from helm.trust.event import EventKind, KeyChange, sign_event, to_body
from tests.actors.doors.street import Street
from tests.actors.kit import House

CHECKPOINTS = "/api/v1/boundary/checkpoints"
PROOFS = "/api/v1/boundary/proofs"
CALL = {"tool": "read", "arguments": {"path": "a"}}


def key_of(street: Street) -> PublicKey:
    return PublicKey.from_hex(street.kernel.parts.pen.public_key)


async def taken(street: Street) -> dict[str, Any]:
    reply = await street.ask("POST", CHECKPOINTS, {}, key=street.admin)
    assert reply.status == 201
    body: dict[str, Any] = reply.json()
    return body


def document_in(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ("checkpoint", "note_signature", "signature", "version")}


async def test_an_operator_takes_one_and_anyone_with_a_key_reads_and_verifies_it(street: Street) -> None:
    await street.call(CALL)
    assert (await street.ask("POST", CHECKPOINTS, {})).status == 403
    one = await taken(street)
    assert await taken(street) == one
    for name in (one["checkpoint_id"], "1"):
        assert (await street.ask("GET", f"{CHECKPOINTS}/{name}")).json() == one
        told = (await street.ask("POST", f"{CHECKPOINTS}/{name}/verify", {})).json()
        assert told["verified"] and len(told["checks"]) == 3
    check_document(document_in(one), key_of(street), "here")
    assert (await street.ask("GET", CHECKPOINTS)).json() == {"checkpoints": [one], "next": None}
    for name in ("2", "0", "ckpt_none", "rcpt_none", "9" * 30):
        assert (await street.ask("GET", f"{CHECKPOINTS}/{name}")).status == 404


async def test_pages_of_checkpoints_together_are_all_of_them(street: Street) -> None:
    for _ in range(3):
        await street.call(CALL)
        await taken(street)
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        page = (await street.ask("GET", f"{CHECKPOINTS}?limit=2&after={after}")).json()
        found += [one["checkpoint"]["sequence"] for one in page["checkpoints"]]
        after = page["next"]
    assert found == [1, 2, 3]


async def test_a_receipt_and_its_record_are_proved_to_their_tenant_alone(street: Street) -> None:
    reply = (await street.call(CALL)).json()
    receipt_id, record_id = reply["receipt"]["receipt_id"], reply["record_id"]
    assert (await street.ask("GET", f"{PROOFS}/{receipt_id}")).status == 404
    await taken(street)
    await street.call(CALL)
    await taken(street)
    for wanted in (receipt_id, record_id):
        proof = (await street.ask("GET", f"{PROOFS}/{wanted}")).json()
        shown = check_document(proof, key_of(street), "proof")
        assert (shown.about, shown.checkpoint.sequence) == (wanted, 1)
        assert (await street.ask("GET", f"{PROOFS}/{wanted}", key=street.rival)).status == 404
        assert (await street.ask("GET", f"{PROOFS}/{wanted}", key=street.admin)).status == 200
        for forged in ({"index": proof["index"] + 1}, {"path": [*proof["path"], "sha256:" + "0" * 64]}):
            with pytest.raises(Invalid, match=r"not under|cannot be|too long"):
                check_document(proof | forged, key_of(street), "forged")
    assert (await street.ask("GET", f"{PROOFS}/rcpt_none")).status == 404


async def test_any_two_checkpoints_are_proved_to_be_of_one_log(street: Street) -> None:
    for _ in range(4):
        await street.call(CALL)
        await taken(street)
    for old, new in ((1, 2), (1, 4), (2, 4), (3, 3)):
        proof = (await street.ask("GET", f"{CHECKPOINTS}/{new}/consistency?since={old}")).json()
        shown = check_document(proof, key_of(street), "proof")
        assert shown.checkpoint.sequence == new
    assert (await street.ask("GET", f"{CHECKPOINTS}/2/consistency?since=3")).status == 422
    assert (await street.ask("GET", f"{CHECKPOINTS}/2/consistency?since=9")).status == 422


async def known_witness(street: Street, house: House, seed: int) -> SigningKey:
    """Add a witness's key to the trust registry, over HTTP as everything here."""
    key = SigningKey.from_seed(bytes([seed]) * 32, KeyPurpose.WITNESS)
    registry = street.kernel.parts.state.registry
    assert registry is not None
    change = KeyChange(
        key_id=key.key_id,
        kind=EventKind.KEY_ADDED.value,
        public_key=key.public_key,
        purpose=KeyPurpose.WITNESS.value,
        reason="a witness",
    )
    admin = house.place.trust_admin_key()
    event = sign_event(change, registry.place, 1_760_000_400_000, admin)
    reply = await street.ask("POST", "/api/v1/trust/events", {"event": to_body(event)}, key=street.admin)
    assert reply.status == 201, reply.body
    return key


def cosigned(note: str, key: SigningKey, name: str = "witness.example/w1", at_s: int = 1_760_000_500) -> str:
    """Return the note with a witness's line, made as the specification says and with nothing of ours."""
    text = note.rpartition("\n\n")[0] + "\n"
    signature = bytes.fromhex(key.sign(b"cosignature/v1\n", f"time {at_s}\n{text}".encode()))
    hint = hashlib.sha256(name.encode() + b"\n\x04" + bytes.fromhex(key.public_key)).digest()[:4]
    return f"{note}\u2014 {name} {base64.b64encode(hint + at_s.to_bytes(8, 'big') + signature).decode()}\n"


async def cosign(street: Street, name: str, note: str) -> Any:
    return await street.ask("POST", f"{CHECKPOINTS}/{name}/cosignatures", {"note": note}, key=street.admin)


async def test_a_known_witness_cosigns_once_and_a_stranger_not_at_all(street: Street, house: House) -> None:
    witness, stranger = await known_witness(street, house, 7), SigningKey.from_seed(bytes(32), KeyPurpose.WITNESS)
    await street.call(CALL)
    one = await taken(street)
    note = (await street.ask("GET", f"{CHECKPOINTS}/1/note")).body.decode()
    assert note == one["note"]
    assert (await cosign(street, "1", cosigned(note, stranger))).json()["taken"] == 0
    signed = cosigned(note, witness)
    told = (await cosign(street, "1", signed)).json()
    assert (told["taken"], told["note"]) == (1, signed)
    again = (await cosign(street, "1", cosigned(note, witness, at_s=1))).json()
    assert again["note"] == signed
    assert (await street.ask("POST", f"{CHECKPOINTS}/1/cosignatures", {"note": signed})).status == 403
    assert verifier_key("witness.example/w1", witness.public_key, TIMESTAMPED).startswith("witness.example/w1+")


async def test_a_cosignature_of_something_else_is_refused(street: Street, house: House) -> None:
    witness = await known_witness(street, house, 8)
    await street.call(CALL)
    first = (await taken(street))["note"]
    await street.call(CALL)
    second = (await taken(street))["note"]
    line = cosigned(first, witness).splitlines(keepends=True)[-1]
    assert (await cosign(street, "2", cosigned(first, witness))).status == 422
    assert (await cosign(street, "2", second + line)).status == 422
    for odd in ("", "no note", second[:-1], second.replace("\n\n", "\n"), second + "\u2014 a b\n", second + "\x07\n"):
        assert (await cosign(street, "2", odd)).status == 422
    assert (await street.ask("GET", f"{CHECKPOINTS}/2/note")).body.decode() == second


async def test_a_note_is_read_by_whoever_knows_the_key_and_nothing_else(street: Street) -> None:
    await street.call(CALL)
    await taken(street)
    note = (await street.ask("GET", f"{CHECKPOINTS}/1/note")).body
    statement = read_statement(read_note(note), key_of(street))
    assert statement.size == 1 and statement.origin.startswith("HELM/CheckpointNote/v1/")
    check_no_equivocation(statement, statement)
    stranger = PublicKey.from_hex(SigningKey.from_seed(bytes(32), KeyPurpose.EXECUTION).public_key)
    with pytest.raises(Invalid, match="no line of it is by the log's key"):
        read_statement(read_note(note), stranger)
    with pytest.raises(Invalid, match="not this key's"):
        read_statement(read_note(note.replace(b"\n1\n", b"\n2\n", 1)), key_of(street))
