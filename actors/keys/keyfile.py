"""Private keys at rest: one Ed25519 key per file, PEM PKCS#8, for its owner's eyes only.

The first line of the file says what the key is for (RFC 7468 section 2 lets text stand before the PEM), so
that an approval key copied over an execution key is refused, not used. Reading and writing block: keys are
read once, before the kernel opens.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey

PURPOSE_LINE = "HELM-Key-Purpose: "
BEGIN = b"-----BEGIN "

MODE = 0o600
FORBIDDEN_MODE = 0o077
"""Any bit for group or others: a key that two can read signs for two."""

MAX_BYTES = 4096
"""A key file has under 200 bytes; whatever is longer is something else, such as a device or a log."""

# No link is followed to a file that someone else chose, and no FIFO makes the start wait for ever.
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(path: Path, purpose: KeyPurpose) -> SigningKey:
    """Make a key, write it to a new file of mode 0600, and return it.

    Durable when it returns. Raises Invalid where a file stands already, or where none can be written.
    """
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, WRITE_FLAGS, MODE)
    except FileExistsError:
        hint = "a lost key cannot be made again: name another file"
        raise Invalid("a file stands here and is not overwritten", str(path), hint) from None
    except OSError as error:
        raise Invalid(f"the key cannot be written: {error.strerror}", str(path)) from error
    write_durably(descriptor, path, f"{PURPOSE_LINE}{purpose}\n".encode() + pem)
    return SigningKey.from_seed(private.private_bytes_raw(), purpose)


def write_durably(descriptor: int, path: Path, content: bytes) -> None:
    """Fill the new file, or take its name away again: half a key must not stand where a key is looked for."""
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, MODE)  # whatever the umask took away
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        sync_directory(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Invalid(f"the key cannot be written: {error.strerror}", str(path)) from error


def read(path: Path, purpose: KeyPurpose) -> SigningKey:
    """Return the key of a file made for `purpose` that only its owner can read. Raises Invalid."""
    return from_pem(read_private(path), purpose, str(path))


def read_private(path: Path) -> bytes:
    """Return what a file holds that only its owner can read, as far as a key's file may be long. Raises Invalid."""
    try:
        descriptor = os.open(path, READ_FLAGS)
    except OSError as error:
        what = f"the key file cannot be opened: {error.strerror}"
        raise Invalid(what, str(path), how_to_open(path)) from error
    try:
        check_file(os.fstat(descriptor), path)
        return os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def purpose_of(path: Path) -> KeyPurpose:
    """Return what the key of a file is for, as the file's first line says. Raises Invalid."""
    first = read_private(path).partition(b"\n")[0].decode("utf-8", "replace").strip()
    try:
        return KeyPurpose(first.removeprefix(PURPOSE_LINE))
    except ValueError:
        raise Invalid("its first line does not say what the key is for", str(path)) from None


def from_pem(pem: bytes, purpose: KeyPurpose, where: str) -> SigningKey:
    """Return the key for `purpose` in the `pem` found at `where`. Raises Invalid, never quoting the key."""
    if len(pem) > MAX_BYTES or pem.count(BEGIN) != 1:
        raise Invalid("not one PEM private key", where, "keep one key in one file")
    check_purpose(pem[: pem.index(BEGIN)], purpose, where)
    try:
        private = load_pem_private_key(pem, password=None)
    except TypeError:
        hint = "HELM starts unattended: store it unencrypted, mode 0600"
        raise Invalid("the key is encrypted", where, hint) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("not a PEM private key in PKCS#8", where) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise Invalid("the key's algorithm is not Ed25519", where, "HELM signs with Ed25519 only")
    return SigningKey.from_seed(private.private_bytes_raw(), purpose)


def check_purpose(preamble: bytes, purpose: KeyPurpose, where: str) -> None:
    """Raise Invalid unless the text before the PEM says that the key is for `purpose`, and for that alone."""
    lines = [line.strip() for line in preamble.decode("utf-8", "replace").splitlines() if line.strip()]
    if lines != [f"{PURPOSE_LINE}{purpose}"]:
        hint = f"a key for it begins with the line '{PURPOSE_LINE}{purpose}'; do not relabel one in use"
        raise Invalid(f"the key is not marked as one for {purpose}", where, hint)


def check_file(status: os.stat_result, path: Path) -> None:
    """Raise Invalid unless the open file is a plain one that nobody but us can read, under any name."""
    if not stat.S_ISREG(status.st_mode):
        raise Invalid("not a regular file", str(path))
    if status.st_nlink != 1:
        raise Invalid("the key file has a second name", str(path), "keep one copy, without hard links")
    if status.st_uid != os.geteuid():
        raise Invalid("the key file belongs to another user", str(path), "chown it to the one that runs HELM")
    if status.st_mode & FORBIDDEN_MODE:
        what = f"mode {stat.S_IMODE(status.st_mode):04o} lets others at the key"
        raise Invalid(what, str(path), "chmod 0600; a key that others may have read is to be replaced")


def how_to_open(path: Path) -> str:
    if path.is_symlink():
        return "name the file itself, not a link to it"
    return "" if path.exists() else "bring it back from a copy; `helm init` makes keys for a new installation only"


def sync_directory(directory: Path) -> None:
    """Make the new name durable: without this a power cut may take the key and leave what it signed."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
