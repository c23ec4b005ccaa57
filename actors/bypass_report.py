"""The report of a tool server: one line for each call that did not come through HELM, chained by hashes.

It is not signed, because a tool server holds no key of HELM's: whoever may write the file may write another one, but
cannot change or leave out a line and keep the ones behind it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.hashing import hash_in

MAX_REPORT: Final = 64 * 1024 * 1024
"""Bytes of a report; beyond it calls are refused as before, and no more is written (T4)."""

MAX_LINE: Final = 16 * 1024

FIRST: Final = "GENESIS"
TORN: Final = "TORN"
"""What the first line names as the one before it, and one that stands behind half a line."""


def append(path: Path, body: dict[str, JSONValue]) -> None:
    """Append one line that names the line before it."""
    size = path.stat().st_size if path.exists() else 0
    if size >= MAX_REPORT:
        return
    body = body | {"previous": last_hash(path) if size else FIRST}
    sealed = body | {"hash": hash_in(domains.BYPASS, record_bytes(body))}
    with path.open("ab") as file:
        if body["previous"] == TORN:
            file.write(b"\n")  # what stands behind it is whole again, and the break shows
        file.write(record_bytes(sealed) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def last_hash(path: Path) -> str:
    """Return the hash of a report's last whole line."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LINE))
        tail = file.read()
    try:
        return str(parse(tail.splitlines()[-1])["hash"]) if tail.endswith(b"\n") else TORN
    except (IndexError, KeyError, TypeError, Malformed):
        return TORN


def read_report(path: Path) -> list[dict[str, Any]]:
    """Return every line of a report. Raises Invalid where one was changed, left out or torn."""
    found: list[dict[str, Any]] = []
    previous = FIRST
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            sealed = parse(line)
            body = {name: value for name, value in sealed.items() if name != "hash"}
            good = sealed["hash"] == hash_in(domains.BYPASS, record_bytes(body)) and body["previous"] == previous
        except (AttributeError, KeyError, Malformed) as problem:
            raise Invalid(f"line {number} is torn", str(path)) from problem
        if not good:
            raise Invalid(f"line {number} was changed, or one before it left out", str(path))
        previous = sealed["hash"]
        found.append(sealed)
    return found
