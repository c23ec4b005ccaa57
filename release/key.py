"""The release key: an Ed25519 key that somebody made on purpose, in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from actors.keys.keyfile import MODE, WRITE_FLAGS, read_private, write_durably
from helm.contracts.errors import Invalid
from helm.crypto.dsse import Envelope, EnvelopeSignature, pae, written_envelope

VARIABLE: Final = "HELM_RELEASE_KEY"
"""The file that holds the key, where no option names one."""

FIRST_LINE: Final = b"HELM-Key-Purpose: release\n"
"""So that a key of another purpose that was copied here is refused, not used."""


@attrs.frozen(kw_only=True)
class ReleaseKey:
    """A key that speaks for whoever makes releases."""

    private: Ed25519PrivateKey = attrs.field(repr=False)
    is_ephemeral: bool = False
    """Whether nobody can know it from anywhere but this release: it proves that nothing was changed since, no more."""

    @property
    def public(self) -> str:
        """The public key in hexadecimal, to be told by another way than with the release."""
        return self.private.public_key().public_bytes_raw().hex()

    def seal(self, payload_type: str, payload: bytes) -> bytes:
        """Return a signed DSSE envelope around a payload."""
        signature = EnvelopeSignature(key_id=self.public, raw=self.private.sign(pae(payload_type, payload)))
        return written_envelope(Envelope(payload_type=payload_type, payload=payload, signatures=(signature,)))


def make(path: Path) -> ReleaseKey:
    """Make a key in a new file of mode 0600. Raises Invalid where a file stands there."""
    private = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(path, WRITE_FLAGS, MODE)
    except OSError as problem:
        raise Invalid(f"the key cannot be written: {problem.strerror}", str(path)) from problem
    write_durably(
        descriptor, path, FIRST_LINE + private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return ReleaseKey(private=private)


def read(path: Path) -> ReleaseKey:
    """Return the key of a file that only its owner can read. Raises Invalid."""
    raw = read_private(path)
    if not raw.startswith(FIRST_LINE):
        raise Invalid("not a release key", str(path), "make one: python -m release key FILE")
    try:
        private = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError):
        raise Invalid("not an unencrypted PEM private key", str(path)) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise Invalid("not an Ed25519 key", str(path))
    return ReleaseKey(private=private)


def chosen(path: Path | None, *, ephemeral: bool) -> ReleaseKey:
    """Return the key to sign with: the file that is named, or one that is asked for by its name. Raises Invalid."""
    named = path or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None and ephemeral:
        raise Invalid("a key is named, and one that is thrown away is asked for", "--ephemeral-key", "choose one")
    if named is not None:
        return read(named)
    if not ephemeral:
        hint = f"name one by --key or {VARIABLE}; for a trial, --ephemeral-key signs with one that is thrown away"
        raise Invalid("no release key, and none is made in silence", "--key", hint)
    return ReleaseKey(private=Ed25519PrivateKey.generate(), is_ephemeral=True)
