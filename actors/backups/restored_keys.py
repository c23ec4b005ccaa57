"""Which key files go into a restored installation: those that count in its log, and no others.

A backup is older than the keys beside it, or younger: a file that stands for a key that was revoked or replaced before
the backup, or added after it, is left aside and named. It keeps nobody from the keys that count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from actors.backups.making import copy_file
from actors.installation import KEYS
from actors.keys import hsm, keyfile
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.trust.registry import Registry

REFERENCE: Final = ".token"
SUFFIXES: Final = (".pem", REFERENCE)

OTHERS: Final = "name the folder that holds copies of this log's keys, or leave it out and copy them to keys/ later"


@attrs.frozen(kw_only=True)
class TakenKeys:
    """What became of the key files."""

    left_aside: Mapping[str, str] = attrs.field(factory=dict)
    """Why a file was not taken, by its name."""
    missing: tuple[KeyPurpose, ...] = ()
    """What an installation has keys for, and none came along."""


def copy_keys(source: Path, target: Path) -> dict[str, str]:
    """Copy the key files of a folder; return why a file was not, by its name. Raises Invalid where it has none."""
    found = [path for path in sorted(source.iterdir()) if path.suffix in SUFFIXES and path.is_file()]
    if not found:
        raise Invalid("no key file is there", str(source), OTHERS)
    aside = {path.name: why for path in found if (why := why_not(path))}
    for path in found:
        if path.name not in aside:
            copy_file(path, target, f"keys/{path.name}")
    return aside


def why_not(path: Path) -> str:
    """Say why a file is not even copied, "" where it is."""
    if path.is_symlink():
        return "it is a link, and none is followed"
    return "it is longer than any key" if path.stat().st_size > keyfile.MAX_BYTES else ""  # T4


def keep_what_counts(folder: Path, registry: Registry, lamport: int, *, in_token: bool) -> TakenKeys:
    """Take away every key file of a folder that does not count in the node at `lamport`.

    A kernel looks for the keys in files, or for references where they are `in_token`: the others are as good as none.
    """
    aside = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
        try:
            check_counts(path, registry, lamport)
        except Invalid as problem:
            aside[path.name] = problem.what
            path.unlink()
    kept = {path.stem for path in folder.iterdir() if path.suffix == SUFFIXES[in_token]}
    return TakenKeys(left_aside=aside, missing=tuple(purpose for purpose in KEYS if purpose not in kept))


def check_counts(path: Path, registry: Registry, lamport: int) -> None:
    """Raise Invalid unless the key of a file counts, for the purpose that its name says, else for what it says itself.

    A reference is believed to be one to its token's key: a start asks the token, which need not be there now.
    """
    named = [purpose for purpose in KeyPurpose if purpose == path.stem]
    purpose = named[0] if named else keyfile.purpose_of(path)
    registry.require(key_id_of(path, purpose), purpose, lamport)


def key_id_of(path: Path, purpose: KeyPurpose) -> str:
    """Return the name of a file's key, or of the one that a reference is to. Raises Invalid."""
    if path.suffix != REFERENCE:
        return keyfile.read(path, purpose).key_id
    _, public_key = hsm.reference(path, purpose)
    try:
        return PublicKey.from_hex(public_key).key_id
    except SignatureInvalid as problem:
        raise Invalid(str(problem), str(path)) from problem
