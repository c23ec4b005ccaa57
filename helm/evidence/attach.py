"""Putting a recorder's chain beside a pack: a new pack, the same bytes for the same chain, the old one inside it."""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import Signer
from helm.evidence import archive
from helm.evidence.archive import Member
from helm.evidence.check_host import described
from helm.evidence.host_chain import HostChain
from helm.evidence.layout import HOST, HOST_DRIFT, MANIFEST, NATIVE, SOURCES, chain_path, is_source
from helm.evidence.manifest import write_manifest
from helm.evidence.reading import Reading

MAX_SOURCES: Final = 64
"""Most chains beside one pack (T4)."""


def attach(reading: Reading, source: str, chain: HostChain, signer: Signer) -> bytes:
    """Return a pack in which every check has held, with a chain beside it, signed by an evidence key.

    Raises Invalid for a name that is none or is taken, and where drift was noted already; PurposeMismatch.
    """
    if not is_source(source):
        raise Invalid(f"{source[:60]!r} is no plain name", "source", "up to 40 of a-z, 0-9, dot, dash and underscore")
    if source in reading.chains or len(reading.chains) == MAX_SOURCES:
        raise Invalid(f"{source} is there already, or there are {MAX_SOURCES}", "source", "give it another name")
    if HOST_DRIFT in reading.members:
        raise Invalid("drift was noted without this chain", HOST_DRIFT, "attach to the pack as it was before that")
    chains = reading.chains | {source: chain}
    return beside(reading, {chain_path(source): chain.lines(), SOURCES: described(chains)}, signer)


def note_drift(reading: Reading, drift: bytes, signer: Signer) -> bytes:
    """Return a pack in which every check has held, with signed drift beside its chains. Raises PurposeMismatch."""
    return beside(reading, {HOST_DRIFT: drift}, signer)


def beside(reading: Reading, files: dict[str, bytes], signer: Signer) -> bytes:
    """Return the pack with more files of hosts."""
    members = dict(reading.members)
    members.setdefault(NATIVE, members.pop(MANIFEST))
    members.pop(MANIFEST, None)
    members |= files
    members[MANIFEST] = write_manifest(attrs.evolve(reading.manifest.cover, key_id=signer.key_id), members, signer)
    return archive.write(Member(path, content) for path, content in members.items())


def check_without(reading: Reading, what: str) -> None:
    """Raise Invalid for a pack beside which something of a host stands: `what` works on packs as they were exported."""
    if reading.native is not None:
        raise Invalid(f"a pack with host evidence cannot be {what}", HOST, "take the pack as it was exported")
