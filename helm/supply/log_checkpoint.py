"""The head of a log's tree, as the log signed it: a C2SP checkpoint in a signed note.

https://c2sp.org/tlog-checkpoint and /signed-note, with the names of keys that Rekor uses besides. The name of a log and
its key come from the caller. A note may carry signatures of witnesses; only the log's own counts here.
"""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import SignatureInvalid
from helm.crypto.hashing import digest
from helm.evidence.note import ED25519, KEY_ID_BYTES, Line, Note, read_note
from helm.proofgraph.merkle import HASH_BYTES, Head
from helm.supply.members import a_count, some_bytes
from helm.supply.outside_key import OutsideKey

MAX_LINES: Final = 16
"""Most lines of a checkpoint: three and some extensions (T4)."""

MAX_NAME: Final = 255
"""Longest name of a log (T4)."""

TREE: Final = " - "
"""What stands between a log's name and the number of one of its trees in the first line of Rekor's checkpoints."""


@attrs.frozen(kw_only=True)
class Log:
    """A log that the caller trusts: its name, and its key."""

    name: str
    key: OutsideKey

    def __attrs_post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME or not self.name.isprintable() or any(one in self.name for one in " +"):
            raise Invalid(f"{self.name[:40]!r} is not the name of a log", "log", "a name has no blanks and no plus")

    @property
    def ids(self) -> frozenset[bytes]:
        """The hashes by which entries may name this log: of its key alone, or of its name and key."""
        ids = {self.key.fingerprint}
        if self.key.is_ed25519:
            ids.add(digest(self.name.encode() + b"\n" + ED25519 + self.key.raw))
        return frozenset(ids)


def read_checkpoint(raw: bytes, log: Log) -> Head:
    """Return the head that the log signed. Raises Invalid unless this very log signed this checkpoint."""
    note = read_note(raw)
    lines = note.text.removesuffix("\n").split("\n")
    if not 3 <= len(lines) <= MAX_LINES:
        raise Invalid("not a name, a size and a root", "checkpoint", "hand over the note as the log signed it")
    check_origin(lines[0], log)
    check_signed(note, log)
    size, root = a_count(lines[1], "checkpoint's size"), some_bytes(lines[2], "checkpoint's root", size=HASH_BYTES)
    return Head(size=size, root=root)


def check_origin(origin: str, log: Log) -> None:
    """Raise Invalid unless the first line names the log, or a tree of it."""
    name, between, tree = origin.partition(TREE)
    numbered = tree.isascii() and tree.isdigit()
    if name != log.name or (between and not numbered):
        raise Invalid(
            f"a checkpoint of {origin[:MAX_NAME]!r}, not of {log.name!r}",
            "checkpoint",
            "is this the log that you meant?",
        )


def check_signed(note: Note, log: Log) -> None:
    """Raise Invalid unless a line of the note is the log's signature, by name, hint and key."""
    own = [line for line in note.lines if line.name == log.name]
    if not own:
        raise Invalid(f"not signed by {log.name!r}", "checkpoint", "ask the log for a checkpoint of its own")
    hinted = [line for line in own if line.key_id in {one[:KEY_ID_BYTES] for one in log.ids}]
    if not hinted:
        raise Invalid("signed under another key than the one you gave", "checkpoint", "is this the log's key?")
    if not any(is_signed(note.text, line, log.key) for line in hinted):
        raise Invalid("the log's signature does not hold", "checkpoint", "the checkpoint was changed: get it again")


def is_signed(text: str, line: Line, key: OutsideKey) -> bool:
    try:
        key.verify(text.encode(), line.raw)
    except SignatureInvalid:
        return False
    return True
