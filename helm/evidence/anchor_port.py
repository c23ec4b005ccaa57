"""Where checkpoints are anchored: places that whoever runs HELM cannot rewrite, in the order in which they are tried.

What is anchored is a checkpoint's hash and its signed note. A try that failed blocks nothing; it is written down.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical
from helm.guardian.destination import Destination, split_url

VERSION: Final = "helm.anchor/1"

MAX_TARGETS: Final = 8
"""Most targets: each may take its time-out before the next is tried (T4)."""

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Longest answer of a log that is kept (T4)."""

FILE: Final = "file:"
HINT: Final = "separated by blanks: file:PATH, or https://HOST/PATH"


@attrs.frozen
class FileTarget:
    """A file that is only ever appended to, such as one on a medium that is written once."""

    path: str

    def __str__(self) -> str:
        return FILE + self.path


@attrs.frozen
class LogTarget:
    """A log that takes anchors by POST."""

    origin: Destination
    path: str

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


Target = FileTarget | LogTarget


@attrs.frozen(kw_only=True)
class Try:
    """One try to anchor one checkpoint at one target. `answer` is what a log said, in base64; `detail` is our word."""

    answer: str
    at_ms: int
    checkpoint_hash: str
    detail: str
    ok: bool
    sequence: int
    target: str

    def line(self) -> bytes:
        """Return the try as it is written down."""
        return canonical(attrs.asdict(self)) + b"\n"


def targets_in(text: str, *, allow_plain: bool) -> tuple[Target, ...]:
    """Return the targets of a setting, in order. Raises Invalid. `allow_plain` lets a log be asked without TLS."""
    found = tuple(target_of(word, allow_plain=allow_plain) for word in text.split())
    if len(found) > MAX_TARGETS or len(set(map(str, found))) < len(found):
        raise Invalid(f"more than {MAX_TARGETS} targets, or one twice", "anchor_targets", HINT)
    return found


def target_of(word: str, *, allow_plain: bool) -> Target:
    """Return one target. Raises Invalid."""
    if word.startswith(FILE):
        path = word.removeprefix(FILE)
        if not path:
            raise Invalid("a file without a path", "anchor_targets", HINT)
        return FileTarget(path)
    try:
        origin, path = split_url(word)
    except Refused as problem:
        raise Invalid(problem.reason, "anchor_targets", HINT) from problem
    schemes = ("https", "http") if allow_plain else ("https",)
    if origin.scheme not in schemes or not path.startswith("/") or "#" in path or not path.isprintable():
        hint = HINT if allow_plain else f"{HINT}; http:// only with anchor_allow_private"
        raise Invalid(f"{word[:80]!r} is no place to anchor at", "anchor_targets", hint)
    return LogTarget(origin, path)


def statement(checkpoint: dict[str, Any]) -> bytes:
    """Return what is anchored of a checkpoint that is told with its hash and its note: one canonical line."""
    said: dict[str, JSONValue] = {
        "checkpoint_hash": checkpoint["checkpoint_hash"],
        "log_id": checkpoint["checkpoint"]["log_id"],
        "note": checkpoint["note"],
        "sequence": checkpoint["checkpoint"]["sequence"],
        "version": VERSION,
    }
    return canonical(said) + b"\n"


def anchored(tries: Iterable[Try]) -> dict[str, Try]:
    """Return, by the hash of each checkpoint that is anchored, the try that did it first."""
    found: dict[str, Try] = {}
    for one in tries:
        if one.ok:
            found.setdefault(one.checkpoint_hash, one)
    return found
