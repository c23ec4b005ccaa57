"""The keys of a data directory: the trust events in its journal, read without a kernel and folded from genesis."""

from __future__ import annotations

from collections.abc import Iterator

from actors.installation import Installation, how_to_replace
from actors.stores.glance import glance
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.proofgraph.node import NodeKind
from helm.trust.event import from_payload
from helm.trust.registry import PlacedEvent, Registry, fold

PAGE = 256
"""Rows read at a time: a kernel that tidies its journal never waits for more."""

OF_TRUST = b'"kind":"TRUST_EVENT"'
"""In every row of a trust event. Arguments may hold the same text: it only saves the reading of the others."""


def registry_of(place: Installation) -> Registry:
    """Return the registry of all durable trust events; of the genesis alone before the first start. Raises Invalid."""
    if not place.has_journal:
        return place.registry()
    history = list(placed_events(place))
    return fold(history, place.log_id) if history else place.registry()


def placed_events(place: Installation) -> Iterator[PlacedEvent]:
    """Yield the trust events in the journal. Raises Invalid."""
    with glance(place.journal_at) as journal:
        done = 0
        while page := journal.page(done + 1, PAGE):
            for seq, body in page:
                done = seq
                if OF_TRUST not in body:
                    continue
                node = reread(body)["node"]
                if node["kind"] == NodeKind.TRUST_EVENT:
                    yield from_payload(node["payload"], f"journal entry {seq}"), node["lamport"]


def key_of(place: Installation, purpose: KeyPurpose) -> Signer:
    """Return the key for `purpose`; a refusal for one that is gone names it as the log does. Raises Invalid."""
    try:
        return place.key(purpose)
    except Invalid as problem:
        lost = active_keys(place, purpose) if place.lacks(purpose) else ()
        if not lost:
            raise
        raise Invalid(problem.what, problem.where, how_to_replace(purpose, " or ".join(lost))) from problem


def active_keys(place: Installation, purpose: KeyPurpose) -> tuple[str, ...]:
    """Return the names of the keys that count for `purpose` now, none where the log cannot be read."""
    try:
        known = registry_of(place).keys
    except Invalid:  # what is wrong with the log is for whoever opens it to say
        return ()
    return tuple(sorted(name for name, key in known.items() if key.is_active and key.purpose is purpose))
