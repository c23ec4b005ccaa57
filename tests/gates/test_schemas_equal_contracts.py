"""What is published of the contracts is what the contracts are: schemas, replay script and its hash."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance import schemas
from helm.contracts import decision, effect, receipt
from helm.contracts.errors import Invalid
from helm.contracts.form import kinds_of
from helm.contracts.reason import ESCALATING, ReasonCode
from helm.contracts.schema import Schema, SchemaViolation
from helm.crypto.canonical import canonical, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.hashing import sha256
from helm.evidence.layout import EVENTS, MANIFEST
from helm.evidence.schemas import DOCUMENTS, PUBLISHED, drawn
from helm.evidence.scripts import KNOWN_SCRIPTS, NEWEST
from helm.guardian.bundle_signature import SIGNATURE, sign_policy
from tests.helm.evidence.forger import RECEIPT_LINES, RECORD_LINES, a_log, a_pack, lines_of, standalone, unpacked
from tests.helm.evidence.material import policy_of

RUN = "run `python -m conformance.schemas`"


def test_every_published_file_is_drawn_from_the_contracts() -> None:
    differing = [path.name for path, text in schemas.written() if path.read_text(encoding="utf-8") != text]
    assert differing == [], RUN
    assert set(schemas.SCHEMAS.glob("*.json")) == schemas.schema_files().keys(), RUN


def test_a_contract_that_grew_is_drawn_otherwise() -> None:
    class Grown(receipt.Receipt, frozen=True, kw_only=True):
        evil: str

    grown: type[Any] = Grown
    assert drawn(grown).keys() - drawn(receipt.Receipt).keys() == {"evil"}
    assert schemas.members_of(grown) == schemas.members_of(receipt.Receipt) | {"evil": str}


@pytest.mark.parametrize("contract", [decision.Decision, effect.Effect, effect.Intent, effect.Permit, receipt.Receipt])
def test_every_field_of_a_contract_stands_in_its_schema(contract: type[Any]) -> None:
    published = reread(PUBLISHED[contract.__name__.lower()])
    names = set(kinds_of(contract))
    assert names <= published["properties"].keys()
    assert published["properties"].keys() - names <= {"decision_id", "receipt_id", "signature"}
    assert set(published["required"]) == published["properties"].keys()
    assert published["additionalProperties"] is False


def test_the_script_in_the_tree_is_the_newest_that_verifiers_know() -> None:
    assert sha256(schemas.SCRIPT.read_bytes()) == NEWEST
    assert NEWEST in KNOWN_SCRIPTS


def test_the_script_knows_every_reason_code_and_purpose() -> None:
    script = standalone()
    assert {code.value for code in ReasonCode if code} == script.REASONS
    assert script.ESCALATING == ESCALATING
    assert set(KeyPurpose) == script.PURPOSES


def samples() -> dict[str, list[Any]]:
    """Return real objects of every contract that a pack holds."""
    members = unpacked(a_pack())
    records = lines_of(members[RECORD_LINES])
    entries = a_log().entries
    events = [body["event"] for body in lines_of(members[EVENTS])]
    commands = [e["node"]["payload"]["command"] for e in entries if e["node"]["payload"]["type"] == "FREEZE"]
    return {
        "decision": [one["decision"] for one in records],
        "effect": [one["effect"] for one in records if "effect" in one],
        "record": [one["record"] for one in records],
        "receipt": lines_of(members[RECEIPT_LINES]),
        "node": [entry["node"] for entry in entries],
        "trust-event": events,
        "freeze-command": commands,
        "policy-signature": [SIGNATURE.body(sign_policy(policy_of(), a_log().key(KeyPurpose.POLICY)))],
        "pack-manifest": [reread(members[MANIFEST])],
    }


@pytest.mark.parametrize("name", samples())
def test_real_objects_keep_their_schema_and_edited_ones_break_it(name: str) -> None:
    schema = Schema.compile(json.loads(PUBLISHED[name]), name)
    found = samples()[name]
    assert found
    for body in found:
        schema.check(body)
        for member in body:
            for value in ({"other": 1}, 1.5):
                with pytest.raises(SchemaViolation):
                    schema.check(body | {member: value} if member != "payload" else body | {member: 1.5})
            with pytest.raises(SchemaViolation):
                schema.check({other: said for other, said in body.items() if other != member})
        with pytest.raises(SchemaViolation):
            schema.check(body | {"evil": 1})


def test_every_schema_is_one_that_the_house_itself_would_pin() -> None:
    for document in DOCUMENTS:
        Schema.compile(json.loads(canonical(document)), document["$id"])
    with pytest.raises(Invalid):
        Schema.compile({**DOCUMENTS[0], "invented": 1}, "poison")
