"""The proof of a backup: nothing of it is believed before all of it holds.

What is checked, in this order:

1. the manifest lists exactly the files that are there, each of its size and hash
2. the genesis is the one that was pinned, or, where nothing was pinned, the one that the backup itself brings
3. every row follows from it: links, seals, signatures, trees under checkpoints (as any start does)
4. the rows come to what the manifest says, which an evidence key of the log signed
5. the log holds every checkpoint that was handed over with it: else it is older than what was witnessed, or forked

What no check can say: that nothing came after the backup, where nobody kept a checkpoint.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import attrs

from actors.backups.making import CHUNK_BYTES, Row, Seen, fold, unseen
from actors.installation import GENESIS_FILE, read_genesis
from actors.recovery import MAX_ENTRY_BYTES
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey
from helm.evidence import backup as manifests
from helm.evidence.backup import DATA, MANIFEST, MAX_MANIFEST_BYTES, ROWS, BackedFile, Backup
from helm.evidence.checkpoint_document import check_signed_document
from helm.evidence.equivocation import Statement, read_statement, statement_of
from helm.evidence.note import origin_of, read_note
from helm.evidence.refold import SHARD, Refold
from helm.proofgraph.checkpoint import SealedCheckpoint

CHANGED: Final = "it was changed or torn since: take another backup"

BESIDE: Final = frozenset({"checkpoint_hash", "checkpoint_id", "note"})
"""What `helm checkpoint show` tells beside a signed checkpoint, and follows from it."""


@attrs.frozen(kw_only=True)
class Proved:
    """A backup that was checked."""

    path: Path
    backup: Backup
    state: Refold = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Witness:
    """A signed checkpoint, or a signed note of one, that was kept elsewhere."""

    where: str
    raw: bytes = attrs.field(repr=False)


def prove(path: Path, *, log_id: str = "", witnesses: Sequence[Witness] = (), seen: Seen = unseen) -> Proved:
    """Check a backup, and return what it is. Raises Invalid naming what does not hold."""
    backup, signature = manifests.read_manifest(read_bounded(path / MANIFEST))
    check_files(path, backup)  # 1
    pinned, _ = read_genesis(path / DATA / GENESIS_FILE)  # 2
    if pinned != (log_id or backup.log_id) or pinned != backup.log_id:
        hint = "is it a backup of this log?"
        raise Invalid(f"it is of {pinned}, not of {log_id or backup.log_id}", str(path), hint)
    roots: dict[int, str] = {}

    def note(sealed: SealedCheckpoint) -> None:
        roots[sealed.content.receipts_size] = sealed.content.receipts_root

    with (path / ROWS).open("rb") as file:
        state = fold(lines_of(file), pinned, backup.entries, seen, note)  # 3
        entries = backup.entries if file.read(1) == b"" else -1
    manifests.check_log(backup, entries, state)  # 4
    manifests.check_signature(backup, signature, state.registry)
    for witness in witnesses:  # 5
        check_witness(witness, state, roots)
    return Proved(path=path, backup=backup, state=state)


def check_witness(witness: Witness, state: Refold, roots: Mapping[int, str]) -> None:
    """Raise Invalid unless the log holds what was witnessed of it."""
    stated = stated_in(witness, state)
    origin = origin_of(state.log_id, SHARD)
    manifests.check_witnessed(stated, roots, max(roots, default=0), origin, witness.where)


def stated_in(witness: Witness, state: Refold) -> Statement:
    """Return what a witness's file states, once a key of the log has signed it. Raises Invalid."""
    keys = [] if state.registry is None else list(state.registry.keys.values())
    execution = {known.public_key.key_id: known.public_key for known in keys if known.purpose is KeyPurpose.EXECUTION}
    if not witness.raw.lstrip().startswith(b"{"):
        return noted_in(witness, list(execution.values()))
    try:
        document = parse(witness.raw, max_bytes=MAX_MANIFEST_BYTES)
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", witness.where, "hand over the file as it was written") from problem
    shown = {name: value for name, value in dict(document).items() if name not in BESIDE}
    checkpoint = shown.get("checkpoint")
    key = execution.get(str(checkpoint.get("key_id"))) if type(checkpoint) is dict else None
    if key is None:
        raise Invalid("no key of this log signed it", witness.where, "is it this log's?")
    return statement_of(check_signed_document(shown, key, witness.where))


def noted_in(witness: Witness, keys: Sequence[PublicKey]) -> Statement:
    """Return what a signed note states. Raises Invalid where none of the keys signed it."""
    note, refused = read_note(witness.raw), Invalid("no key of this log signed it", witness.where, "is it this log's?")
    for key in keys:
        try:
            return read_statement(note, key)
        except Invalid as problem:
            refused = problem
    raise refused


def lines_of(file: IO[bytes]) -> Iterator[Row]:
    """Yield the rows in a file. Raises Invalid for one that is torn or longer than any row."""
    seq = 0
    while line := file.readline(MAX_ENTRY_BYTES + 2):
        seq += 1
        if not line.endswith(b"\n"):
            raise Invalid("is torn, or longer than any row", f"{ROWS}: line {seq}", CHANGED)
        yield seq, line[:-1]


def check_files(path: Path, backup: Backup) -> None:
    """Raise Invalid unless exactly the files that are listed are there, each as it is listed."""
    found = {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_symlink() or not one.is_dir()}
    listed = {MANIFEST, *(file.path for file in backup.files)}
    if found != listed:
        odd = min(found ^ listed)
        raise Invalid("is missing" if odd in listed else "is not in the manifest", str(path / odd), CHANGED)
    for file in backup.files:
        check_file(path / file.path, file)


def check_file(path: Path, file: BackedFile) -> None:
    """Raise Invalid unless a file has the size and the hash that the manifest lists."""
    digest = hashlib.sha256()
    with open_plain(path) as content:
        if os.fstat(content.fileno()).st_size != file.size:
            raise Invalid("is not of the size that the manifest lists", str(path), CHANGED)
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    if file.hash != f"sha256:{digest.hexdigest()}":
        raise Invalid("does not hash to what the manifest lists", str(path), CHANGED)


def open_plain(path: Path) -> IO[bytes]:
    """Open a file that is no link. Raises Invalid."""
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(path), "is it a backup?") from problem


def read_bounded(path: Path) -> bytes:
    """Return the content of a manifest. Raises Invalid."""
    with open_plain(path) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise Invalid(f"more than {MAX_MANIFEST_BYTES} bytes", str(path), "is it a backup?")
    return content
