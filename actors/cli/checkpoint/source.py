"""Where checkpoints are asked about: a running kernel over HTTP, or the journal of a data directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from actors.cli.bar import bar
from actors.cli.failure import Failed
from actors.cli.server import API, Server
from actors.installation import Installation
from actors.stores.glance import glance
from actors.trust_log import registry_of
from helm.crypto.canonical import reread
from helm.evidence.checkpoint_document import signed_document
from helm.evidence.checkpoints import Cosigned, cosigned_in, unseal_checkpoint
from helm.evidence.note import Cosignature, log_line, note_text, witness_line
from helm.evidence.proof_search import ConsistencySearch, InclusionSearch
from helm.proofgraph.checkpoint import SealedCheckpoint
from helm.trust.registry import Registry

CHECKPOINTS: Final = f"{API}/boundary/checkpoints"
PROOFS: Final = f"{API}/boundary/proofs"

PAGE: Final = 256
"""Rows read at a time: a kernel that tidies its journal never waits for more."""

OF_CHECKPOINT: Final = b'"kind":"CHECKPOINT"'
COSIGNED: Final = b'"type":"CHECKPOINT_COSIGNED"'
"""In every such row. Arguments may hold the same text: it only saves the reading of the others."""

Told = dict[str, Any]
Entry = dict[str, Any]


def entries(place: Installation, *, of_checkpoints: bool = False) -> Iterator[Entry]:
    """Yield the entries of a journal, believing them; only those about checkpoints, where that is all that is asked."""
    with glance(place.journal_at) as journal, bar("reading the journal") as shown:
        head, done = journal.head(), 0
        while page := journal.page(done + 1, min(PAGE, head - done)):
            for seq, body in page:
                done = seq
                if not of_checkpoints or OF_CHECKPOINT in body or COSIGNED in body:
                    yield reread(body)
            shown.move(done, head)


def on_directory(place: Installation) -> list[Told]:
    """Return the checkpoints in a journal as the HTTP route tells them. Raises Invalid for a journal that is none."""
    registry, sealed, cosigned = registry_of(place), list[SealedCheckpoint](), dict[str, list[Cosigned]]()
    for entry in entries(place, of_checkpoints=True):
        payload = entry["node"]["payload"]
        if payload.get("type") == "CHECKPOINT":
            sealed.append(unseal_checkpoint(payload, "journal"))
        elif payload.get("type") == "CHECKPOINT_COSIGNED":
            said = cosigned_in(payload, "journal")
            cosigned.setdefault(said.checkpoint_hash, []).append(said)
    return [told(one, registry, cosigned.get(one.checkpoint_hash, [])) for one in sealed]


def told(sealed: SealedCheckpoint, registry: Registry, cosigned: list[Cosigned]) -> Told:
    """Return a checkpoint with its names and its note."""
    key = registry.require(sealed.content.key_id, registry.keys[sealed.content.key_id].purpose, sealed.content.lamport)
    lines = [
        witness_line(
            Cosignature(name=one.name, at_s=one.cosigned_at_s, signature=one.signature),
            registry.keys[one.key_id].public_key.hex,
        )
        for one in cosigned
    ]
    own = log_line(sealed.content, key.hex, sealed.note_signature)
    return signed_document(sealed) | {
        "checkpoint_hash": sealed.checkpoint_hash,
        "checkpoint_id": sealed.checkpoint_id,
        "note": "".join((note_text(sealed.content), "\n", own, *lines)),
    }


def on_server(server: Server) -> list[Told]:
    """Return the checkpoints that a running kernel tells of. Raises Failed."""
    found: list[Told] = []
    after: int | None = 0
    while after is not None:
        page = server.get(CHECKPOINTS, {"after": after})
        if page is None:
            raise Failed(f"no checkpoints at {server.url}", "is it a HELM kernel of this version?", "NO_ANSWER")
        found += page["checkpoints"]
        after = page["next"]
    return found


def find(place: Installation | None, url: str, name: str) -> Told:
    """Return one checkpoint by id, number or `latest`. Raises Failed."""
    if url and name != "latest":
        found: Told | None = Server(url).get(f"{CHECKPOINTS}/{name}", {})
    else:
        listed = on_server(Server(url)) if url else on_directory(must_be(place))
        names = {"latest": listed[-1]} if listed else {}
        for one in listed:
            names |= {one["checkpoint_id"]: one, str(one["checkpoint"]["sequence"]): one}
        found = names.get(name)
    if found is None:
        raise Failed(f"there is no checkpoint {name}", "`helm checkpoint list` shows them", "NOT_FOUND")
    return found


def prove(place: Installation, wanted: str) -> Told:
    """Return the proof of a receipt or record from a journal. Raises Failed."""
    search = InclusionSearch(wanted)
    for entry in entries(place):
        document = search.take(entry)
        if document is not None:
            return document
    if search.found is not None:
        raise Failed(f"no checkpoint covers {wanted} yet", "take one: helm checkpoint now", "NOT_COVERED")
    raise Failed(f"nothing is known of {wanted}", "`helm receipts list` shows the receipts", "NOT_FOUND")


def prove_growth(place: Installation, old: int, new: int) -> Told:
    """Return the proof that one checkpoint's trees begin with another's, from a journal. Raises Failed."""
    search = ConsistencySearch(old, new)
    for entry in entries(place):
        document = search.take(entry)
        if document is not None:
            return document
    raise Failed(f"there are no checkpoints {old} and {new}, in this order", "`helm checkpoint list` shows them")


def must_be(place: Installation | None) -> Installation:
    """Return the installation. Raises Failed."""
    if place is None:
        raise Failed("neither a kernel nor a data directory is named", "--server or --data-dir")
    return place


def public_key_of(place: Installation, key_id: str) -> str:
    """Return the public key that a data directory's log knows by a name. Raises Failed."""
    known = registry_of(place).keys.get(key_id)
    if known is None:
        what = f"this directory's log never knew {key_id}"
        raise Failed(what, "is it this log's checkpoint?", "VERIFICATION_FAILURE")
    return known.public_key.hex


def read_file(path: Path) -> bytes:
    """Return the bytes of a file. Raises Failed."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Failed(f"{path} cannot be read: {problem.strerror}", "name a file that is there") from problem
