"""What stands hidden in the texts of a tool: characters nobody sees, comments, encoded blobs, padding (T6)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Final

from helm.contracts.form import JSONValue
from helm.guardian.injection import find_injection
from helm.guardian.obfuscation import find_obfuscation, fold, is_suspect, unfolded_place
from helm.mcp.finding import Finding, Severity, quote

COMMENT: Final = re.compile(r"<!--|\[//\]:\s{0,2}#")
PADDING: Final = re.compile(r"[ \t\u00a0\u3000]{60}|(?:\r?\n){12}")
BASE64: Final = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")
HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}){48,}|(?:\\x[0-9a-fA-F]{2}){8,}|(?:%[0-9a-fA-F]{2}){16,}")

MAX_STEP: Final = 64
"""Characters of a member's name that a place repeats: below a long one there may stand many (T4)."""

READABLE: Final = 0.9
"""The share of printable characters from which what a blob decodes to is taken for a text."""


def texts_of(value: JSONValue, where: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON value of bounded depth with its place, the names of members too."""
    if type(value) is str:
        yield where, value
    elif type(value) is list:
        for number, one in enumerate(value):
            yield from texts_of(one, f"{where}/{number}")
    elif type(value) is dict:
        for name, one in value.items():
            place = f"{where}/{name[:MAX_STEP]}"
            yield f"{place} (its name)", name
            yield from texts_of(one, place)


def scan_texts(tool: Mapping[str, JSONValue], where: str) -> Iterator[Finding]:
    """Yield what is hidden in anything that a server says of a tool."""
    for place, text in texts_of(tool, where):
        yield from hidden(place, text)
        yield from encoded(place, text)


def hidden(where: str, text: str) -> Iterator[Finding]:
    """Yield what a person would not see, and what speaks over their head."""
    suspect = is_suspect(text)
    found = find_obfuscation(text) if suspect else None
    if found is not None:
        yield Finding(
            rule="text.invisible",
            severity=Severity.CRITICAL,
            where=where,
            why=f"{found[0]}: a person reads another text here than a model does",
            remedy="do not approve it; ask its author why it is there",
            quoted=quote(text, found[1]),
        )
    folded = (fold(text) if suspect else text).encode("utf-8", "surrogatepass")
    marker = find_injection(folded)
    if marker is not None:
        at = unfolded_place(text, len(folded[: marker[1]].decode("utf-8", "surrogatepass")))
        yield Finding(
            rule="text.injection",
            severity=Severity.CRITICAL,
            where=where,
            why=f"{marker[0]}: it speaks to the model as if its operator spoke",
            remedy="do not approve it; report the server",
            quoted=quote(text, at),
        )
    comment = COMMENT.search(text)
    if comment is not None:
        yield Finding(
            rule="text.comment",
            severity=Severity.HIGH,
            where=where,
            why="a comment: what renders this text leaves it out, and a model reads it",
            remedy="read it in the raw listing; do not approve it unless it is harmless",
            quoted=quote(text, comment.start()),
        )
    padding = PADDING.search(text)
    if padding is not None:
        yield Finding(
            rule="text.padding",
            severity=Severity.MEDIUM,
            where=where,
            why="so much empty space that what follows is out of sight",
            remedy="read the text to its end",
            quoted=quote(text, padding.end()),
        )


def encoded(where: str, text: str) -> Iterator[Finding]:
    """Yield what only a machine can read."""
    for blob in BASE64.finditer(text):
        said = blob[0]
        if not (any(map(str.isdigit, said)) and any(map(str.isupper, said)) and any(map(str.islower, said))):
            continue
        yield blob_found(where, text, blob.start(), is_text=decodes_to_text(said))
        return
    blob_in_hex = HEX.search(text)
    if blob_in_hex is not None:
        yield blob_found(where, text, blob_in_hex.start(), is_text=False)


def blob_found(where: str, text: str, at: int, *, is_text: bool) -> Finding:
    """Return the finding of one blob."""
    return Finding(
        rule="text.encoded",
        severity=Severity.HIGH if is_text else Severity.MEDIUM,
        where=where,
        why="a text in base64: a model decodes it, a person does not" if is_text else "a blob that nobody can read",
        remedy="decode it and read it, or do not approve the server",
        quoted=quote(text, at),
    )


def decodes_to_text(said: str) -> bool:
    """Tell whether base64 holds a text that somebody might have written."""
    try:
        text = base64.b64decode(said + "=" * (-len(said) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return sum(char.isprintable() for char in text) >= READABLE * len(text)
