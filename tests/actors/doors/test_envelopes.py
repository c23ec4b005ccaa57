"""Envelopes over HTTP: operators have them signed, around this log's own evidence; each tenant reads its own."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from helm.config import Config
from helm.crypto.canonical import canonical
from helm.crypto.ed25519 import PublicKey
from helm.crypto.hashing import sha256
from helm.evidence.envelopes.examine import EnvelopeTrust, Examination, Proved, examine
from helm.evidence.envelopes.kinds import MEDIA_TYPES, EnvelopeKind
from helm.evidence.trust_root import TrustRoot
from helm.trust.event import EventKind, KeyChange, sign_event, to_body
from tests.actors.doors.street import Reply, Street, open_street
from tests.actors.kit import House

ENVELOPES = "/api/v1/evidence/envelopes"
EXPORT = "/api/v1/evidence/export"
CALL = {"tool": "read", "arguments": {"path": "a"}}


async def receipt_of(street: Street, key: str | None = None) -> dict[str, Any]:
    return (await street.call(CALL, key=key)).receipt


async def make(street: Street, body: Any, key: str | None = None) -> Reply:
    return await street.ask("POST", ENVELOPES, body, key=street.admin if key is None else key)


async def made(street: Street, **body: Any) -> dict[str, Any]:
    reply = await make(street, body)
    assert reply.status == 201, reply.body
    manifest: dict[str, Any] = reply.json()
    assert reply.headers["location"] == f"{ENVELOPES}/{manifest['manifest_id']}"
    return manifest


async def test_an_operator_has_any_kind_signed_and_a_stranger_verifies_it(street: Street, house: House) -> None:
    receipt = await receipt_of(street)
    key = PublicKey.from_hex(house.place.evidence_key().public_key)
    for kind in EnvelopeKind:
        manifest = await made(street, envelope=kind.value, receipt_id=receipt["receipt_id"], experimental=True)
        assert manifest["native_evidence_hash"] == sha256(canonical(receipt))
        shown = (await street.ask("GET", f"{ENVELOPES}/{manifest['manifest_id']}")).json()
        assert (shown["manifest"], shown["media_type"]) == (manifest, MEDIA_TYPES[kind])
        report = examine(
            Examination(
                raw=base64.b64decode(shown["envelope"]),
                trust=EnvelopeTrust(key=key),
                experimental=True,
                manifest=manifest,
                evidence=json.dumps(receipt).encode(),
            )
        )
        assert report.proved is Proved.EVIDENCE, report.failed
        payload = await street.ask("GET", f"{ENVELOPES}/{manifest['manifest_id']}/payload")
        assert sha256(payload.body) == manifest["payload_hash"]
        told = (await street.ask("POST", f"{ENVELOPES}/{manifest['manifest_id']}/verify", {})).json()
        assert (told["proved"], told["verified"], told["authoritative"]) == ("native", True, False)


async def test_only_an_operator_has_one_signed(street: Street) -> None:
    receipt_id = (await receipt_of(street))["receipt_id"]
    body = {"envelope": "dsse", "receipt_id": receipt_id}
    assert (await make(street, body, key=street.agent)).status == 403
    assert (await make(street, body, key="")).status == 401
    assert (await street.ask("GET", ENVELOPES)).json() == {"envelopes": [], "next": None}


async def test_another_tenants_envelope_and_one_that_never_was_look_the_same(street: Street) -> None:
    receipt_id = (await receipt_of(street))["receipt_id"]
    manifest = await made(street, envelope="dsse", receipt_id=receipt_id)
    name, never = manifest["manifest_id"], "env_" + "0" * 32
    for method, suffix in (("GET", ""), ("GET", "/payload"), ("POST", "/verify")):
        body: Any = {} if method == "POST" else None
        assert (await street.ask(method, f"{ENVELOPES}/{name}{suffix}", body)).status == 200
        refused = [
            await street.ask(method, f"{ENVELOPES}/{one}{suffix}", body, key=street.rival) for one in (name, never)
        ]
        assert [reply.status for reply in refused] == [404, 404]
        assert refused[0].body == refused[1].body
    assert (await street.ask("GET", ENVELOPES, key=street.rival)).json()["envelopes"] == []
    assert (await street.ask("GET", ENVELOPES, key=street.admin)).json()["envelopes"] == [manifest]


async def test_a_checkpoint_names_no_tenant_and_is_read_by_all(street: Street) -> None:
    await receipt_of(street)
    taken = await street.ask("POST", "/api/v1/boundary/checkpoints", {}, key=street.admin)
    manifest = await made(street, envelope="in-toto", checkpoint="1")
    assert manifest["subject"] == taken.json()["checkpoint_id"]
    for key in (street.agent, street.rival, street.admin):
        assert (await street.ask("GET", ENVELOPES, key=key)).json()["envelopes"] == [manifest]
        told = await street.ask("POST", f"{ENVELOPES}/{manifest['manifest_id']}/verify", {}, key=key)
        assert told.json()["proved"] == "native"


async def test_pages_of_envelopes_together_are_all_that_a_tenant_may_read(street: Street) -> None:
    own = [(await receipt_of(street))["receipt_id"] for _ in range(3)]
    others = [(await receipt_of(street, street.rival))["receipt_id"] for _ in range(2)]
    names = {
        receipt_id: (await made(street, envelope="jws", receipt_id=receipt_id))["manifest_id"]
        for receipt_id in (*own, *others)
    }
    for key, wanted in ((street.agent, own), (street.rival, others), (street.admin, [*own, *others])):
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = (await street.ask("GET", f"{ENVELOPES}?limit=1&after={after}", key=key)).json()
            found += [one["manifest_id"] for one in page["envelopes"]]
            after = page["next"]
        assert found == sorted(names[receipt_id] for receipt_id in wanted)


async def test_the_same_again_is_the_same_envelope(street: Street) -> None:
    receipt_id = (await receipt_of(street))["receipt_id"]
    assert await made(street, envelope="slsa", receipt_id=receipt_id) == await made(
        street, envelope="slsa", receipt_id=receipt_id
    )


async def test_a_kernel_signs_nothing_that_it_was_only_told_of(street: Street) -> None:
    receipt = await receipt_of(street)
    receipt_id = receipt["receipt_id"]
    for body, status in (
        ({"envelope": "dsse"}, 400),
        ({"envelope": "dsse", "receipt_id": receipt_id, "checkpoint": "1"}, 400),
        ({"envelope": "pgp", "receipt_id": receipt_id}, 400),
        ({"receipt_id": receipt_id}, 400),
        ({"envelope": "dsse", "native_evidence_hash": "sha256:" + "0" * 64}, 400),
        ({"envelope": "dsse", "receipt_id": receipt}, 400),
        ({"envelope": "dsse", "receipt_id": "rec_" + "0" * 32}, 400),
        ({"envelope": "dsse", "receipt_id": "rcpt_" + "0" * 32}, 404),
        ({"envelope": "dsse", "checkpoint": "1"}, 404),
        ({"envelope": "dsse", "checkpoint": receipt_id}, 404),
        ({"envelope": "cose", "receipt_id": receipt_id}, 422),
        ({"envelope": "scitt", "receipt_id": receipt_id, "experimental": False}, 422),
        ({"envelope": "dsse", "receipt_id": receipt_id, "experimental": "yes"}, 400),
    ):
        assert (await make(street, body)).status == status, body


async def test_a_revoked_key_signs_nothing_more_and_what_it_signed_is_refused(street: Street, house: House) -> None:
    receipt_id = (await receipt_of(street))["receipt_id"]
    name = (await made(street, envelope="dsse", receipt_id=receipt_id))["manifest_id"]
    registry, key = street.kernel.parts.state.registry, house.place.evidence_key()
    assert registry is not None
    change = KeyChange(
        key_id=key.key_id,
        kind=EventKind.KEY_REVOKED.value,
        public_key=key.public_key,
        purpose=key.purpose.value,
        reason="stolen",
    )
    event = sign_event(change, registry.place, 1_760_000_400_000, house.place.trust_admin_key())
    reply = await street.ask("POST", "/api/v1/trust/events", {"event": to_body(event)}, key=street.admin)
    assert reply.status == 201, reply.body
    told = (await street.ask("POST", f"{ENVELOPES}/{name}/verify", {})).json()
    assert (told["verified"], told["proved"], told["statement"]) == (False, "nothing", None)
    refused = await make(street, {"envelope": "jws", "receipt_id": receipt_id})
    assert (refused.status, "no evidence key" in refused.json()["detail"]) == (422, True)


async def test_a_key_that_cannot_be_read_is_refused_and_nobody_is_told_where_it_lies(
    street: Street, house: House
) -> None:
    receipt_id = (await receipt_of(street))["receipt_id"]
    (house.path / "keys" / "evidence.pem").unlink()
    reply = await make(street, {"envelope": "dsse", "receipt_id": receipt_id})
    assert reply.status == 422
    assert str(house.path) not in reply.body.decode()


async def test_a_file_that_was_edited_is_refused_and_says_nothing_of_the_disk(street: Street, house: House) -> None:
    receipt_id = (await receipt_of(street))["receipt_id"]
    name = (await made(street, envelope="dsse", receipt_id=receipt_id))["manifest_id"]
    file = house.path / "envelopes" / f"{name}.json"
    file.write_bytes(file.read_bytes().replace(b'"subject":"rcpt_', b'"subject":"rcpt-'))
    for path in (ENVELOPES, f"{ENVELOPES}/{name}", f"{ENVELOPES}/{name}/payload"):
        reply = await street.ask("GET", path)
        assert reply.status == 409 and str(house.path) not in reply.body.decode()
    assert (await street.ask("POST", f"{ENVELOPES}/{name}/verify", {})).status == 409


async def test_a_name_is_no_path(street: Street) -> None:
    for name in ("..%2fgenesis", "%2e%2e", "env_", "env_" + "g" * 32, "x" * 400):
        assert (await street.ask("GET", f"{ENVELOPES}/{name}", key=street.admin)).status == 404


@pytest.fixture
async def real(house: House) -> AsyncIterator[Street]:
    """A street whose journal is on disk, and whose tenants may export."""
    async with open_street(house, config=Config(port=0, grace_s=2.0, tenant_exports=True), real=True) as street:
        yield street


async def test_a_pack_is_wrapped_as_it_is_exported(real: Street, house: House) -> None:
    receipt = await receipt_of(real)
    about = {"tenant": receipt["tenant"], "session_id": receipt["session_id"]}
    reply = await real.ask("POST", EXPORT, about | {"envelope": "slsa"}, key=real.admin)
    assert reply.status == 200, reply.body
    name = reply.headers["x-helm-envelope-id"]
    shown = (await real.ask("GET", f"{ENVELOPES}/{name}")).json()
    assert (await real.ask("GET", f"{ENVELOPES}/{name}", key=real.rival)).status == 404
    report = examine(
        Examination(
            raw=base64.b64decode(shown["envelope"]),
            trust=EnvelopeTrust(
                key=PublicKey.from_hex(house.place.evidence_key().public_key),
                root=TrustRoot(log_id=house.place.log_id),
            ),
            manifest=shown["manifest"],
            evidence=reply.body,
        )
    )
    assert report.proved is Proved.NATIVE, report.failed
    assert (await real.ask("POST", f"{ENVELOPES}/{name}/verify", {})).json()["proved"] == "signature"
    plain = await real.ask("POST", EXPORT, about, key=real.admin)
    assert plain.body == reply.body and "x-helm-envelope-id" not in plain.headers


async def test_a_pack_of_all_tenants_has_an_envelope_that_no_tenant_reads(real: Street) -> None:
    await receipt_of(real)
    reply = await real.ask("POST", EXPORT, {"whole": True, "envelope": "jws"}, key=real.admin)
    name = reply.headers["x-helm-envelope-id"]
    assert (await real.ask("GET", f"{ENVELOPES}/{name}", key=real.admin)).status == 200
    for key in (real.agent, real.rival):
        assert (await real.ask("GET", f"{ENVELOPES}/{name}", key=key)).status == 404


async def test_an_export_signs_only_what_an_operator_asks_for_by_name(real: Street) -> None:
    receipt = await receipt_of(real)
    about = {"session_id": receipt["session_id"]}
    assert (await real.ask("POST", EXPORT, about)).status == 200
    assert (await real.ask("POST", EXPORT, about | {"envelope": "dsse"})).status == 403
    about |= {"tenant": receipt["tenant"]}
    experimental = await real.ask("POST", EXPORT, about | {"envelope": "cose"}, key=real.admin)
    assert experimental.status == 422
    assert (await real.ask("POST", EXPORT, about | {"envelope": "pgp"}, key=real.admin)).status == 400
    assert (await real.ask("GET", EXPORT + "?whole=true&envelope=dsse", key=real.admin)).status == 400
    assert (await real.ask("GET", ENVELOPES, key=real.admin)).json()["envelopes"] == []
