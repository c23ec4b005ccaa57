"""An act of administration lies under a checkpoint, and an insider who signs the checkpoint cannot bend the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import canonical, record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey
from helm.crypto.hashing import hash_in
from helm.evidence.act_proof import MAX_BEHIND, ActSearch
from helm.evidence.checkpoint_document import act_document, check_document, signed_document
from helm.evidence.checkpoints import seal
from helm.proofgraph.checkpoint import Checkpoint
from helm.wire import structure
from tests.helm.evidence.forger import a_log
from tests.helm.evidence.material import key_of

Document = dict[str, Any]
NOWHERE: Final = "sha256:" + "0" * 64
PEN: Final = key_of(KeyPurpose.EXECUTION)


def freezes() -> list[Document]:
    """Return the nodes of the freeze and of its lifting: a checkpoint stands between them."""
    return [entry["node"] for entry in a_log().entries if entry["node"]["payload"].get("type") == "FREEZE"]


def document_of(node: Document, through: int = 0) -> Document | None:
    """Return the document about an act, None where no checkpoint covers it."""
    search = ActSearch(node["node_hash"], through)
    found = next((said for entry in a_log().entries if (said := search.take(entry)) is not None), None)
    return None if found is None else reread(canonical(act_document(found), max_bytes=2**24))


def a_document() -> Document:
    """Return the freeze, a checkpoint and the lifting behind it, under the second checkpoint."""
    found = document_of(freezes()[0], through=2)
    assert found is not None
    return found


def renamed(node: Document) -> Document:
    """Return a node under the name that it earns."""
    rest = {name: value for name, value in sorted(node.items()) if name != "node_hash"}
    return node | {"node_hash": hash_in(domains.NODE, record_bytes(rest))}


def remade(document: Document, number: int = 0, **change: Any) -> Document:
    """Return a document with one node changed, and all else made to fit: what an insider with the pen can do."""
    chain, before = [], {"old": "", "new": ""}
    for place, node in enumerate([document["act"], *document["behind"]]):
        parents = sorted(before["new"] if parent == before["old"] else parent for parent in node["parents"])
        made = renamed(node | {"parents": parents} | (change if place == number else {}))
        before = {"old": node["node_hash"], "new": made["node_hash"]}
        chain.append(made)
    return document | {"act": chain[0], "behind": chain[1:], "under": under(document, control_head=before["new"])}


def under(document: Document, **change: Any) -> Document:
    """Return the document's checkpoint, signed anew after a change."""
    body = document["under"]["checkpoint"] | change
    return signed_document(seal(structure(body, Checkpoint, "forged checkpoint"), PEN))


def check(document: Document) -> str:
    return check_document(document, PublicKey.from_hex(PEN.public_key), "act").about


def test_an_act_is_proved_by_the_checkpoint_that_covers_it_or_by_a_later_one() -> None:
    freeze, lifted = freezes()
    assert check(a_document()) == freeze["node_hash"]
    assert [node["kind"] for node in a_document()["behind"]] == ["CHECKPOINT", "ATTESTATION"]
    for node in (freeze, lifted):
        found = document_of(node)
        assert found is not None
        assert (check(found), found["behind"]) == (node["node_hash"], [])


def test_no_call_and_no_act_behind_the_last_checkpoint_is_found() -> None:
    call = next(entry["node"] for entry in a_log().entries if entry["node"]["kind"] == "INTENT")
    assert document_of(call) is None
    assert document_of(freezes()[0], through=99) is None


def test_what_is_made_to_fit_holds_where_only_the_signer_answers_for_it() -> None:
    """So each forgery below is refused for the one thing that does not fit."""
    made = remade(a_document(), 1, principal="somebody")
    assert made != a_document()
    assert check(made) == freezes()[0]["node_hash"]


def left_out(document: Document) -> Document:
    return document | {"behind": document["behind"][1:]}


def begun_at_a_checkpoint(document: Document) -> Document:
    return document | {"act": document["behind"][0], "behind": document["behind"][1:]}


FORGERIES: Final[dict[str, tuple[str, Callable[[Document], Document]]]] = {
    "a payload that the name is not of": (
        "does not hash",
        lambda d: d | {"act": d["act"] | {"payload": d["act"]["payload"] | {"signature": "ab" * 64}}},
    ),
    "a node of a session in between": ("not of the control chain", lambda d: remade(d, 1, session_id="s1")),
    "a node of a tenant in between": ("not of the control chain", lambda d: remade(d, 1, tenant="acme")),
    "an act of another shard": ("not of the control chain", lambda d: remade(d, 0, shard="1")),
    "an act at the place of the one behind it": (
        "another place",
        lambda d: remade(d, 0, lamport=d["behind"][0]["lamport"]),
    ),
    "an act before the first place": ("another place", lambda d: remade(d, 0, lamport=0)),
    "the last act at its checkpoint's place": (
        "another place",
        lambda d: remade(d, 2, lamport=d["under"]["checkpoint"]["lamport"]),
    ),
    "an act that was left out": ("one was left out", left_out),
    "an act that stands on nothing": ("one was left out", lambda d: remade(d, 2, parents=[])),
    "acts behind the last that is covered": (
        "another control chain",
        lambda d: d | {"under": under(d, control_head=d["behind"][0]["node_hash"])},
    ),
    "a checkpoint of another chain": ("another control chain", lambda d: d | {"under": under(d, control_head=NOWHERE)}),
    "a checkpoint as an act": ("no act of administration", begun_at_a_checkpoint),
    "a member more": ("other members", lambda d: remade(d, 1, note="x")),
    "no node": ("is no node", lambda d: d | {"behind": [1]}),
    "no chain": ("is no chain", lambda d: begun_at_the_end(d) | {"behind": {}}),
    "a chain without an end": ("is no chain", lambda d: d | {"behind": d["behind"][:1] * (MAX_BEHIND + 1)}),
}


def begun_at_the_end(document: Document) -> Document:
    """Return the document of the last act alone: nothing stands behind it."""
    return document | {"act": document["behind"][-1], "behind": []}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_chain_that_an_insider_bent_is_refused_under_a_checkpoint_that_he_signed(name: str) -> None:
    what, forge = FORGERIES[name]
    with pytest.raises(Invalid, match=what):
        check(forge(a_document()))
