"""What stands beside a node in the journal: nothing that is not bound by a hash in the node or its receipt."""

from __future__ import annotations

from collections.abc import Set

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import DEEPEST, canonical
from helm.crypto.hashing import hash_in, sha256
from helm.guardian.bundle_overlay import overlay_hash_of

MAX_BYTES = 16 * 1024 * 1024
"""Largest thing beside a node: facts with arguments and texts at their limits, a bundle of a thousand tools."""

EDITED = "it was edited"

Beside = dict[str, JSONValue]


def check_names(beside: Beside, allowed: Set[str], where: str) -> None:
    """Raise Invalid for something that nothing binds."""
    spare = beside.keys() - allowed
    if spare:
        raise Invalid(f"nothing binds the {min(map(str, spare))} beside its node", where, EDITED)


def check_facts(beside: Beside, facts_hash: str, where: str) -> None:
    """Raise Invalid unless the facts beside a call are those of its decision."""
    if hash_in(domains.FACTS, written(beside.get("facts"), where)) != facts_hash:
        raise Invalid("the facts are not those of the decision", where, EDITED)


def check_output(beside: Beside, output_hash: str, where: str) -> None:
    """Raise Invalid unless an output, where one is kept, is the one of the receipt."""
    if "output" in beside and sha256(written(beside["output"], where)) != output_hash:
        raise Invalid("the output is not that of the receipt", where, EDITED)


def check_bundle(beside: Beside, policy_hash: str, where: str) -> None:
    """Raise Invalid unless the bundle beside an activation is the one that was activated."""
    if hash_in(domains.POLICY, written(beside.get("bundle"), where)) != policy_hash:
        raise Invalid("the bundle is not that of the activation", where, EDITED)


def overlay_texts(beside: Beside, payload: Beside, where: str) -> dict[str, bytes]:
    """Return the text of every overlay that an event puts in force, by its id. Raises Invalid for any other text."""
    kept = beside.get("overlays")
    texts = {name: written(text, where) for name, text in kept.items()} if type(kept) is dict else {}
    for name, said in payload["commands"].items():
        try:
            command = said["command"]
            is_so = overlay_hash_of(texts[name]) == command["overlay_hash"] if name in texts else not command["narrows"]
        except (KeyError, TypeError) as problem:
            raise Invalid("not a command about an overlay", where, EDITED) from problem
        if not is_so:
            raise Invalid(f"the text of the overlay {name} is not the one that was signed", where, EDITED)
    if not texts.keys() <= payload["commands"].keys():
        raise Invalid("there is a text of an overlay that no command names", where, EDITED)
    return texts


def written(value: JSONValue, where: str) -> bytes:
    """Return the canonical bytes of what callers and policies wrote, fractions and all. Raises Invalid."""
    try:
        return canonical(value, max_bytes=MAX_BYTES, max_depth=DEEPEST)
    except Malformed as problem:
        raise Invalid(str(problem), where, EDITED) from problem
