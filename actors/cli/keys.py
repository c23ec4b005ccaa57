"""The key that a person signs with: in a file of theirs, or in a token of theirs behind the same commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from actors.keys import hsm, keyfile
from actors.keys.hsm import TokenPlace
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer

PIN: Final = "HELM_PKCS11_PIN"
"""The environment variable of the PIN: what is a flag stands in the list of processes for everyone."""


def token_options(command: Any) -> Any:
    """Add the options of a command whose --key may lie in a token; `token_of` reads them."""
    for option in (
        click.option("--token", "label", metavar="LABEL", help=f"Which token. Its PIN is read from {PIN}."),
        click.option("--pkcs11", "module", metavar="MODULE", help="The key is in a token: its PKCS#11 module."),
    ):
        command = option(command)
    return command


def token_of(module: str | None, label: str | None) -> TokenPlace | None:
    """Return the token that the options name. Raises UsageError."""
    if module is None and label is None:
        return None
    pin = os.environ.get(PIN, "")
    if not module or not label or not pin:
        raise click.UsageError(f"--pkcs11 and --token go together, with the PIN in {PIN}")
    return TokenPlace(module=module, label=label, pin=pin)


def read(path: Path, purpose: KeyPurpose, token: TokenPlace | None = None) -> Signer:
    """Return the key in a file, or in the token that the file refers to. Raises Invalid."""
    return keyfile.read(path, purpose) if token is None else hsm.read(path, purpose, token)


def chosen(purpose: KeyPurpose, key_file: Path | None, module: str | None, label: str | None) -> Signer | None:
    """Return the key that the options name; None where the data directory's own is to sign. Raises Invalid.

    A token without a key in it named is no answer: something else would sign than was meant.
    """
    token = token_of(module, label)
    if key_file is not None:
        return read(key_file, purpose, token)
    if token is not None:
        raise click.UsageError("--key: the file that refers to the key in the token")
    return None


def write_new(path: Path, purpose: KeyPurpose, token: TokenPlace | None = None) -> Signer:
    """Make a key in a new file, or in the token with a reference to it in that file. Raises Invalid."""
    return keyfile.write_new(path, purpose) if token is None else hsm.write_new(path, purpose, token)
