"""What there is to say of the store that keeps a journal: reached, of which version, durable, written by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator

from actors.cli.finding import Finding
from actors.cli.receipt_source import backwards
from actors.installation import RESTORED_FILE, Installation
from actors.stores.diagnosis import Diagnosis, diagnose
from actors.stores.glance import glance
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.database import Database
from helm.evidence.checkpoints import unseal_checkpoint

LOOKED_BACK = 20_000
"""Rows that are looked through for the last checkpoint: twenty times what lies between two by default."""

OF_CHECKPOINT = b'"kind":"CHECKPOINT"'


def examine_store(place: Installation) -> Iterator[Finding]:
    """Yield what there is to say. A journal that was not begun yet is no mistake."""
    yield from restored(place)
    if not place.has_journal and place.config.database is None:
        yield Finding("store", "note", f"{place.config.journal}, not begun yet")
        return
    try:
        found = diagnose(place.journal_at)
    except Invalid as problem:
        yield Finding("store", "fail", f"{problem.where}: {problem.what}", problem.hint)
        return
    yield Finding("store", "ok", f"{found.make}, {found.size / 1e6:.1f} MB")
    yield tables(found)
    yield durability(found)
    if isinstance(place.journal_at, Database):
        yield writer(found)
    if found.version:
        yield checkpoint(place)


def restored(place: Installation) -> Iterator[Finding]:
    """Say that no kernel starts before an operator accepts what was restored."""
    try:
        place.check_accepted()
    except Invalid as problem:
        yield Finding("restored", "fail", f"{RESTORED_FILE}: {problem.what}", problem.hint)


def tables(found: Diagnosis) -> Finding:
    """Compare the version of what is there with the one that this program makes."""
    if found.version == 0:
        return Finding("schema", "note", f"none yet: the first start makes version {found.newest}")
    if found.version < found.newest:
        detail = f"version {found.version}, the next start brings it to {found.newest}"
        return Finding("schema", "note", detail, "take a backup first: helm backup")
    return Finding("schema", "ok", f"version {found.version}")


def durability(found: Diagnosis) -> Finding:
    """Say how a commit ends on a disk, and loudly what speaks against that."""
    if found.doubts:
        return Finding("durability", "warn", "; ".join(found.doubts), found.durable)
    return Finding("durability", "ok", found.durable)


def writer(found: Diagnosis) -> Finding:
    """Say who holds a database's lock."""
    named = re.match(r"helm kernel (\d+) on (.*) \(session", found.holder)
    if named is not None:
        return Finding("lock", "note", f"a kernel runs here: process {named[1]} on {named[2]}")
    if found.holder:
        return Finding("lock", "warn", f"{found.holder} holds it", "no kernel starts before that session ends")
    return Finding("lock", "note", "no kernel runs here")


def checkpoint(place: Installation) -> Finding:
    """Find the last checkpoint, and how much came after it."""
    with glance(place.journal_at) as journal:
        for looked, (seq, body) in enumerate(backwards(journal)):
            if OF_CHECKPOINT in body and is_checkpoint(entry := reread(body)):
                said = unseal_checkpoint(entry["node"]["payload"], f"journal entry {seq}").content
                detail = f"number {said.sequence}, of {said.receipts_size:,} receipts, {looked:,} rows ago"
                return Finding("last checkpoint", "ok", detail)
            if looked == LOOKED_BACK:
                break
    hint = "a backup that is too old can only be told by a checkpoint that was kept elsewhere: helm checkpoint now"
    return Finding("last checkpoint", "note", "none in sight", hint)


def is_checkpoint(entry: dict[str, dict[str, str]]) -> bool:
    return entry["node"]["kind"] == "CHECKPOINT"
