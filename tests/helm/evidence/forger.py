"""What somebody with a pack in hand, and perhaps a key, can make of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import attrs

import helm
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.evidence import archive
from helm.evidence.inclusion import Inclusion
from helm.evidence.layout import FACTS, MANIFEST, NODES, RECEIPTS, RECORDS, shard_path
from helm.evidence.leaf import receipt_leaf
from helm.evidence.manifest import Cover, write_manifest
from helm.evidence.pack import PackMaterial, build
from helm.evidence.reading import NO_KEYS
from helm.evidence.scope import RANGE, Scope
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import verify_pack
from helm.receipts.chain import SealedReceipt
from helm.wire import structure
from tests.helm.evidence.material import TENANT, Log, key_of

SCRIPT: Final = Path(helm.__file__).parent / "evidence" / "standalone.py.txt"
Members = dict[str, bytes]

FACT_LINES, NODE_LINES, RECEIPT_LINES, RECORD_LINES = (
    shard_path(folder, 0) for folder in (FACTS, NODES, RECEIPTS, RECORDS)
)
"""The only shard of each folder: the packs of most tests are small."""

KEEP: Final = "HELM_KEEP_PACKS"
"""The folder, where one is named, that every pack goes to which a test asks about."""


def pack_of(log: Log, session: str = "s1", *, redact_facts: bool = False) -> bytes:
    """Return the pack of one session of a log."""
    return pack_of_selection(log, Selection(TENANT, session), redact_facts=redact_facts)


def pack_of_scope(log: Log, kind: str, from_ms: int = 0, until_ms: int = 0) -> bytes:
    """Return the pack of a range of time, or of the whole log."""
    return pack_of_selection(log, Selection(scope=Scope(kind, from_ms, until_ms)))


def pack_of_selection(log: Log, selection: Selection, *, redact_facts: bool = False) -> bytes:
    """Return the pack of an empty selection."""
    if selection.scope.kind == RANGE:
        for entry in log.entries:
            selection.look(entry)
    for entry in log.entries:
        selection.take(entry)
    for entry in log.entries:
        selection.locate(entry, selection.missing())
    material = PackMaterial(selection=selection, script=SCRIPT.read_bytes(), redact_facts=redact_facts)
    return build(material, log.key(KeyPurpose.EVIDENCE))


@cache
def a_log() -> Log:
    """Return a log of two sessions with one of everything. Nobody changes it."""
    log = Log().begin()
    log.call("s1", "monday")
    log.call("s2", "monday")
    log.refuse("s1")
    log.freeze()
    log.refuse("s2")
    log.checkpoint()
    log.freeze("unfreeze")
    log.refuse("s1", "notes.send", {"to": "x"})
    log.intend("s1", {"name": "open", "größe": 1.5})
    log.call("s1", "tuesday")
    log.checkpoint()
    log.call("s2", "tuesday")
    log.checkpoint()
    return log


@cache
def a_pack(session: str = "s1") -> bytes:
    """Return the pack of one session of that log."""
    return pack_of(a_log(), session)


def unpacked(raw: bytes) -> Members:
    """Return the files of a pack."""
    return archive.read(raw)


def packed(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of these files, whatever is in them: what anybody can do."""
    return archive.write(archive.Member(path, content) for path, content in members.items())


def resealed(
    members: Mapping[str, bytes], change: Callable[[Cover], Cover] = lambda cover: cover, number: int = 1
) -> bytes:
    """Return a pack with a true manifest over these files: what an insider with the evidence key can do."""
    body = reread(members[MANIFEST])
    for seal in ("entries", "manifest_hash", "signature"):
        del body[seal]
    signer = key_of(KeyPurpose.EVIDENCE, number)
    cover = change(attrs.evolve(structure(body, Cover, "forged manifest"), key_id=signer.key_id))
    others = {path: content for path, content in members.items() if path != MANIFEST}
    return packed(others | {MANIFEST: write_manifest(cover, others, signer)})


def inclusion(receipts: Sequence[SealedReceipt]) -> bytes:
    """Return the head of the tree over these receipts."""
    tree = Inclusion()
    for sealed in receipts:
        tree.add(receipt_leaf(sealed))
    return tree.head()


def edited(raw: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return canonical JSON after a change to its value."""
    body = reread(raw)
    change(body)
    return record_bytes(body)


def flipped(content: bytes) -> bytes:
    """Return the content with one bit of its middle byte flipped."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def root_of(log: Log) -> TrustRoot:
    """Return the pin of a log."""
    return TrustRoot(log_id=log.log_id)


def refusing_check(raw: bytes, root: TrustRoot | None = None, host_keys: Mapping[str, str] = NO_KEYS) -> str:
    """Return the name of the check that refuses a pack, "" where none does."""
    root = root or root_of(a_log())
    failed = verify_pack(raw, root, host_keys=host_keys).failed
    by = failed.name if failed is not None else ""
    if KEEP in os.environ:
        keep(Path(os.environ[KEEP]), raw, root, host_keys, by)
    return by


def keep(place: Path, raw: bytes, root: TrustRoot, host_keys: Mapping[str, str], by: str) -> None:
    """Keep a pack, and what was said of it, for a verifier of another make."""
    pack = f"{hashlib.sha256(raw).hexdigest()}.tar"
    told = json.dumps({"by": by, "host_keys": dict(host_keys), "pack": pack, "root": attrs.asdict(root)})
    (place / pack).write_bytes(raw)
    (place / f"{hashlib.sha256(told.encode()).hexdigest()}.json").write_text(told)


@cache
def standalone() -> ModuleType:
    """Return the replay script as a module of this process."""
    loader = SourceFileLoader("standalone", str(SCRIPT))
    spec = spec_from_loader("standalone", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def refusing_check_of_script(raw: bytes, root: TrustRoot | None = None, host_keys: Mapping[str, str] = NO_KEYS) -> str:
    """Return the name of the check of the replay script that refuses a pack, "" where none does."""
    root = root or root_of(a_log())
    names = ("log_id", "genesis_key", "execution_key", "checkpoint")
    host_key = [f"{source}={key}" for source, key in host_keys.items()]
    pins = SimpleNamespace(host_key=host_key, **{name: getattr(root, name) or None for name in names})
    script = standalone()
    failed, _ = script.examine(script.State(raw, pins))
    return str(script.CHECKS[failed - 1][0]) if failed else ""


def check_refused(
    raw: bytes, *checks: str, root: TrustRoot | None = None, host_keys: Mapping[str, str] = NO_KEYS
) -> None:
    """Assert that HELM and the replay script both refuse a pack, by the same one of these checks."""
    assert refusing_check(raw, root, host_keys) in checks
    assert refusing_check_of_script(raw, root, host_keys) == refusing_check(raw, root, host_keys)


def lines_of(raw: bytes) -> list[dict[str, JSONValue]]:
    """Return the objects of lines of JSON."""
    return [reread(line) for line in raw.splitlines()]
