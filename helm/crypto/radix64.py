"""Base64 in its one form: the standard alphabet, padded, with nothing left over (RFC 4648 sections 3.5 and 4).

Readers differ on blanks, on the second alphabet and on the bits behind the last byte. What two readers could take for
two things is refused here, so that a signature and a digest have one written form each (T5).
"""

from __future__ import annotations

from base64 import b64decode, b64encode


def to_base64(raw: bytes) -> str:
    """Return bytes as they are written here."""
    return b64encode(raw).decode("ascii")


def from_base64(text: str) -> bytes:
    """Return the bytes of a text in the one form. Raises ValueError for any other."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one
        raise ValueError("not base64 in the standard alphabet") from None
    if to_base64(raw) != text:
        raise ValueError("base64 in a second form: bits behind its last byte, or padding that is not there")
    return raw
