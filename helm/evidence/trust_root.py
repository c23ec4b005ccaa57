"""What a verifier trusts before it reads a pack: never anything that it reads in the pack."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import KEY_ID, PublicKey, SignatureInvalid
from helm.crypto.hashing import PREFIX


@attrs.frozen(kw_only=True)
class TrustRoot:
    """One pin, or more, handed to the verifier out of band. All that are given must hold.

    `log_id` names the log by its first trust event. `genesis_key` is the public key that this event adds.
    `execution_key` is the one public key that may have signed receipts: it vouches for the log they name, so
    it is enough by itself for a pack that holds a receipt. `checkpoint` is the hash of one that the pack must
    hold: what it covers can then be neither another log's nor cut off, so it is enough by itself as well.
    """

    log_id: str = ""
    genesis_key: str = ""
    execution_key: str = ""
    checkpoint: str = ""

    def __attrs_post_init__(self) -> None:
        if not (self.log_id or self.genesis_key or self.execution_key or self.checkpoint):
            hint = "ask whoever runs the log for its log_id, by another way than the pack came"
            raise Invalid("no trust root: a pack cannot vouch for itself", "trust root", hint)
        for name, text in (("a log_id", self.log_id), ("a checkpoint's hash", self.checkpoint)):
            if text and not is_hash(text):
                raise Invalid(f"{name} is {PREFIX} and 64 lower-case hex digits", "trust root", "copy it whole")
        for public_key in filter(None, (self.genesis_key, self.execution_key)):
            if public_key.startswith(KEY_ID):
                hint = "give its public key: `helm trust keys` of that log shows it beside the id"
                raise Invalid(f"{public_key!r} is a key's id, not the key", "trust root", hint)
            try:
                PublicKey.from_hex(public_key)
            except SignatureInvalid as problem:
                raise Invalid(str(problem), "trust root", "copy the key whole") from problem


def is_hash(text: str) -> bool:
    """Tell whether `text` is a hash as HELM writes it."""
    digits = text.removeprefix(PREFIX)
    return text != digits and len(digits) == 64 and frozenset("0123456789abcdef").issuperset(digits)
