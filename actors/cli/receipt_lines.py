"""A file of receipts, one on a line, as `helm receipts tail --json` and the OpenAI proxy write them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click

from actors.cli.bar import bar
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import canonical, parse
from helm.evidence.receipt_lines import EDITED, MAX_RECEIPT_BYTES, ReceiptLines, keys_by_name
from helm.evidence.trust_root import TrustRoot

STDIN: Final = "-"
"""As it was typed: ./- is a file of that name."""

MAX_LIST_BYTES: Final = 64 * 1024 * 1024
"""The longest list that is read at once (T4): some 30,000 receipts as `helm receipts list --json` writes them."""

BLANKS: Final = re.compile(rb"[ \t\r\n]*")

LOOSE: Final = json.JSONDecoder(strict=False)
"""Finds where a value ends; what it is, is read strictly afterwards."""

MAX_SPREAD_BYTES: Final = 1024 * 1024
"""The longest object that is read over many lines (T4): whatever stands around a receipt, it is some kilobytes."""

CUT_OFF: Final = "it was cut off where it was copied, or edited: ask for it again"
ONE_OBJECT: Final = "it was cut off or edited, or more stands behind it: of several receipts, write one on a line"


def verify_file(name: str, execution_keys: Sequence[str], log_id: str, *, in_part: bool) -> dict[str, Any]:
    """Verify a file of receipts and return what it is. Raises Invalid naming the first line that fails, UsageError."""
    if not execution_keys:
        raise click.UsageError(
            "receipts cannot vouch for themselves: give --execution-key, the public key that "
            "`helm trust keys` of their log shows for execution"
        )
    for key in execution_keys:
        TrustRoot(log_id=log_id, execution_key=key)  # what is none is refused in the words of `helm verify`
    held = ReceiptLines(keys_by_name(execution_keys), log_id, in_part)
    with opened(name) as (file, size), bar("verifying") as shown:
        done = 0
        for raw, where in lines_of(file, name):
            held.take(raw, where)
            done += len(raw) + 1
            shown.move(min(done, size), size)
    if not held.receipts:
        raise Invalid("holds no receipt", name, "nothing was verified")
    return {
        "log_id": held.log_id,
        "receipts": held.receipts,
        "sessions": held.sessions,
        "missing": held.missing,
    }


@contextmanager
def opened(name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Yield an open file and its size, 0 where that is not known. Raises Invalid where it cannot be read."""
    if name == STDIN:
        yield sys.stdin.buffer, 0
        return
    try:
        with Path(name).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", name, "name a file that is there") from problem


def lines_of(file: IO[bytes], name: str) -> Iterator[tuple[bytes, str]]:
    """Yield each receipt and its place: of lines, or of the one list that `receipts list` writes. Raises Invalid."""
    number = 0
    while line := file.readline(MAX_RECEIPT_BYTES + 1):
        number += 1
        where = f"{name}:{number}"
        if number == 1 and line.startswith(b"["):
            yield from members_of(line + file.read(MAX_LIST_BYTES + 1), name)
            return
        if number == 1 and line.strip() == b"{":
            yield spread(line + file.read(MAX_SPREAD_BYTES + 1), name), name
            return
        yield whole(line, where), where


def whole(line: bytes, where: str) -> bytes:
    """Return a line without its end, which the last one may lack where nothing else is missing. Raises Invalid."""
    if line.endswith(b"\n"):
        return line[:-1]
    if len(line) > MAX_RECEIPT_BYTES:
        raise Invalid("is longer than any receipt", where, EDITED)
    try:
        parse(line, max_bytes=MAX_RECEIPT_BYTES)
    except Malformed as problem:
        raise Invalid("is cut off: its line has no end", where, CUT_OFF) from problem
    return line


def spread(raw: bytes, name: str) -> bytes:
    """Return the canonical bytes of the one object of a file, whose members stand on lines of their own."""
    try:
        return canonical(parse(raw, max_bytes=MAX_SPREAD_BYTES))
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", name, ONE_OBJECT) from problem


def members_of(raw: bytes, name: str) -> Iterator[tuple[bytes, str]]:
    """Yield the canonical bytes of each member of what begins as a list, and its place. Raises Invalid.

    One is read after the other: a list of very many small things would come to thirty times its size (T4).
    """
    if len(raw) > MAX_LIST_BYTES:
        raise Invalid(f"is a list of more than {MAX_LIST_BYTES} bytes", name, "write the receipts one on a line")
    at, number, before = 1, 0, b"["
    while (at := behind_blanks(raw, at)) < len(raw) and not (before == b"[" and raw[at : at + 1] == b"]"):
        where = f"{name}[{number}]"
        end = end_of(raw, at, where)
        yield canonical_of(raw[at:end], where), where
        at, number = behind_blanks(raw, end), number + 1
        if (before := raw[at : at + 1]) != b",":
            break
        at += 1
    if raw[at : at + 1] != b"]" or behind_blanks(raw, at + 1) != len(raw):
        raise Invalid("does not end where its list does", name, EDITED)


def behind_blanks(raw: bytes, at: int) -> int:
    """Return where the blanks end that begin here."""
    found = BLANKS.match(raw, at)
    return at if found is None else found.end()


def end_of(raw: bytes, at: int, where: str) -> int:
    """Return where the member ends that begins here. Raises Invalid."""
    window = raw[at : at + MAX_RECEIPT_BYTES].decode("latin-1")  # a character for each byte
    try:
        return at + LOOSE.raw_decode(window)[1]
    except (ValueError, RecursionError):
        raise Invalid("is not JSON, or longer than any receipt", where, EDITED) from None


def canonical_of(raw: bytes, where: str) -> bytes:
    """Return the canonical bytes of one JSON value. Raises Invalid."""
    try:
        return canonical(parse(raw, max_bytes=MAX_RECEIPT_BYTES))
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", where, EDITED) from problem
