"""What a command is told by its surroundings: the environment, and the secrets that a service manager keeps in files.

A credential of systemd's (LoadCredential=), a secret of podman's or of Kubernetes', is a file below the directory that
CREDENTIALS_DIRECTORY names. One that is called as a variable is, such as HELM_ADMIN_API_KEY, counts as that variable:
what stands in an environment is inherited by every child and shown by every dump.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from helm.contracts.errors import Invalid

PLACE: Final = "CREDENTIALS_DIRECTORY"

NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
"""Files of other names, and Kubernetes keeps some, are nobody's credential."""

MAX_CREDENTIALS: Final = 64
MAX_CREDENTIAL_BYTES: Final = 16 * 1024
"""Longer than any key or URL of a database (T4)."""


def environs(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment with the credentials that it names; a variable outweighs a file. Raises Invalid."""
    place = environment.get(PLACE, "")
    return environment if not place else {**dict(credentials(Path(place))), **environment}


def credentials(place: Path) -> Iterator[tuple[str, str]]:
    """Yield the credentials in a directory, without the newline that an editor puts behind them. Raises Invalid."""
    try:
        files = sorted(file for file in place.iterdir() if NAME.fullmatch(file.name))
    except OSError as problem:
        raise Invalid(f"the credentials cannot be listed: {problem.strerror}", str(place)) from problem
    if len(files) > MAX_CREDENTIALS:
        raise Invalid(f"{len(files)} credentials, more than {MAX_CREDENTIALS}", str(place))
    for file in files:
        yield file.name, credential(file)


def credential(file: Path) -> str:
    """Return what one file holds. Raises Invalid, never quoting it."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_CREDENTIAL_BYTES + 1)
        text = raw.decode("utf-8").removesuffix("\n")
    except OSError as problem:
        raise Invalid(f"the credential cannot be read: {problem.strerror}", str(file)) from problem
    except UnicodeDecodeError:
        raise Invalid("the credential is no text in UTF-8", str(file)) from None
    if len(raw) > MAX_CREDENTIAL_BYTES or "\n" in text or "\0" in text:
        raise Invalid(f"the credential is not one line of at most {MAX_CREDENTIAL_BYTES} bytes", str(file))
    return text
