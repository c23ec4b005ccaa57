"""Signatures that somebody else checks while a verification goes on: what that changes is its speed, never its outcome.

What comes back is one key per line of a shard, the one that signed exactly these bytes. The verifier compares it with
the key that must have signed; where they differ, or nothing comes back, it checks the signature itself and says what
is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.at_once import read_receipt
from helm.evidence.layout import RECEIPTS, SNAPSHOT
from helm.evidence.lines import read_json
from helm.evidence.signed import signed_bytes
from helm.receipts.chain import SealedReceipt

Keys = Mapping[str, str]
"""Public keys by their names. Nobody vouches for them: a pack says so of itself."""

Proven = Callable[[str], Sequence[str]]
"""From the path of a shard of receipts to the public key of each line, "" for none; to nothing where nobody looked."""


class Helpers(Protocol):
    """Whoever checks signatures beside the verifier."""

    def start(self, receipts: Mapping[str, bytes], keys: Keys) -> Proven:
        """Begin to check shards of receipts, by path; answer at once with a function that tells what was found."""


def prove(receipts: Sequence[bytes], keys: Keys) -> list[str]:
    """Return for each receipt the public key that signed it, "" where none of `keys` is seen to have."""
    return prove_read([*map(read_receipt, receipts)], keys)


def prove_read(receipts: Sequence[SealedReceipt | None], keys: Keys) -> list[str]:
    """Return the same for receipts that were read already, as far as they could be."""
    checked: dict[str, PublicKey] = {}
    return [signed_by(sealed, keys, checked) for sealed in receipts]


def signed_by(sealed: SealedReceipt | None, keys: Keys, checked: dict[str, PublicKey]) -> str:
    """Return the public key that signed a receipt, "" for none."""
    if sealed is None:
        return ""
    try:
        hex_key = keys[sealed.content.key_id]
        if hex_key not in checked:
            checked[hex_key] = PublicKey.from_hex(hex_key)
        checked[hex_key].verify(domains.RECEIPT, signed_bytes(sealed), sealed.signature)
    except (KeyError, SignatureInvalid, ValueError):
        return ""
    return hex_key


class Below(Mapping[str, bytes]):
    """The files of one folder, which stay where they are."""

    def __init__(self, members: Mapping[str, bytes], folder: str) -> None:
        self._members = members
        self._paths = [path for path in members if path.startswith(folder)]

    def __getitem__(self, path: str) -> bytes:
        return self._members[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def nothing(path: str) -> Sequence[str]:
    """Prove nothing: the verifier checks every signature itself."""
    return ()


def start(helpers: Helpers | None, members: Mapping[str, bytes]) -> Proven:
    """Have helpers, where there are some, check the receipts among the files of a pack."""
    keys = keys_named_in(members.get(SNAPSHOT, b""))
    if helpers is None or not keys:
        return nothing
    return helpers.start(Below(members, RECEIPTS), keys)


def keys_named_in(snapshot: bytes) -> Keys:
    """Return the keys that a pack names, none where it is not what it should be: the check of it will say so."""
    try:
        return {str(key["key_id"]): str(key["public_key"]) for key in read_json(snapshot, SNAPSHOT)["keys"]}
    except (Invalid, KeyError, TypeError):
        return {}
