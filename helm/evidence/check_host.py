"""Check what stands beside the evidence: what recorders on hosts wrote, and where it disagrees with ours.

Taking all of it away gives the pack as it was exported, byte for byte: its manifest is kept, and is held against the
files that it lists. Native evidence stays what it was; nothing of a host changes it.
"""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes
from helm.evidence import drift
from helm.evidence.host_chain import HostChain, read_chain
from helm.evidence.host_key import HostKey
from helm.evidence.layout import CHAINS, HOST, HOST_DRIFT, NATIVE, SOURCES, chain_path, is_source
from helm.evidence.manifest import check_signature, read_manifest
from helm.evidence.reading import CHANGED, Reading


def check_host(reading: Reading) -> None:
    """What recorders on hosts wrote stands beside the pack as it was exported, in whole chains."""
    if any(path.startswith(HOST) for path in reading.members):
        check_native(reading)
        check_chains(reading)
        check_drift(reading)
    check_keys(reading)


def check_native(reading: Reading) -> None:
    """Raise Invalid unless the rest of the pack is, byte for byte, one that was exported and signed by itself."""
    own = {path: listed for path, listed in reading.manifest.hashes.items() if not path.startswith(HOST)}
    sizes = {path: size for path, size in reading.sizes.items() if path in own}
    try:
        found = read_manifest(reading.members.get(NATIVE), sizes)
        check_signature(found, reading.registry)
    except Invalid as problem:
        raise Invalid(f"the pack as it was exported: {problem.what}", NATIVE, CHANGED) from problem
    if found.hashes != own:
        raise Invalid("the pack as it was exported: held other files", NATIVE, CHANGED)
    if attrs.evolve(found.cover, key_id="") != attrs.evolve(reading.manifest.cover, key_id=""):
        raise Invalid("speaks of another pack than this one", NATIVE, CHANGED)
    reading.native = found


def check_chains(reading: Reading) -> None:
    """Raise Invalid unless every chain is whole, in its one form, and the one that the list of sources describes."""
    paths = sorted(path for path in reading.members if path.startswith(CHAINS))
    reading.chains = {path.removeprefix(CHAINS).removesuffix(".jsonl"): chain_in(reading, path) for path in paths}
    odd = [chain_path(source) for source in reading.chains] != paths or not all(map(is_source, reading.chains))
    if not paths or odd:
        raise Invalid("there is no chain, or one under an odd name", CHAINS, CHANGED)
    if reading.members.get(SOURCES) != described(reading.chains):
        raise Invalid("does not describe the chains that are there", SOURCES, CHANGED)


def chain_in(reading: Reading, path: str) -> HostChain:
    """Return the chain in a file of the pack. Raises Invalid."""
    raw = reading.members[path]
    try:
        chain = read_chain(raw)
    except Invalid as problem:
        raise Invalid(f"{problem.where}: {problem.what}", path, CHANGED) from problem
    if chain.lines() != raw:
        raise Invalid("is not written in the one form of a chain", path, CHANGED)
    return chain


def described(chains: dict[str, HostChain]) -> bytes:
    """Return what a pack says of its sources."""
    return record_bytes({source: chain.body() for source, chain in sorted(chains.items())})


def check_drift(reading: Reading) -> None:
    """Raise Invalid unless each drift is signed, and about a host receipt of this pack or about none."""
    raw = reading.members.get(HOST_DRIFT)
    if raw is None or reading.native is None:
        return
    cover, manifest_hash = reading.manifest.cover, reading.native.manifest_hash
    found = drift.read(raw, HOST_DRIFT)
    hashes = {source: {one.receipt_hash for one in chain.receipts} for source, chain in reading.chains.items()}
    for one, signature in found:
        drift.check_signed(one, signature, reading.registry, cover.lamport, HOST_DRIFT)
        known = not one.host_receipt_hash or one.host_receipt_hash in hashes.get(one.source, ())
        if one.manifest_hash != manifest_hash or not known:
            raise Invalid(f"drift {one.number} is about another pack, or about no host receipt", HOST_DRIFT, CHANGED)
    reading.drifts = len(found)


def check_keys(reading: Reading) -> None:
    """Raise Invalid unless every key of a recorder that the caller brought signed a chain that is here."""
    for source, text in reading.host_keys.items():
        chain = reading.chains.get(source)
        if chain is None:
            raise Invalid(f"there is nothing from {source!r}, whose key you brought", HOST, "which source is it?")
        key = HostKey.read(text, f"key of {source}")
        try:
            key.check([*chain.receipts])
        except Invalid as problem:
            raise Invalid(f"{problem.where}: {problem.what}", chain_path(source), problem.hint) from problem
