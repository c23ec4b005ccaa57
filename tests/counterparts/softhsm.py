"""SoftHSM2: a token in software, by somebody else, behind the real PKCS#11."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

HOW: Final = "tokens: NOT RUN. Install SoftHSM2 (Debian: apt-get install softhsm2) and python-pkcs11"

MODULES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
TOOL: Final = "softhsm2-util"
PIN: Final = "913748"


def module() -> str | None:
    """Return the module's file, None where SoftHSM2 or the library that speaks to it is not here."""
    try:
        import pkcs11  # noqa: F401
    except ImportError:
        return None
    found = next((path for path in MODULES if os.path.exists(path)), None)
    return found if shutil.which(TOOL) else None


def configure(directory: Path) -> None:
    """Let SoftHSM2 keep its tokens in a new directory, in this process and its children."""
    tokens = directory / "tokens"
    tokens.mkdir(parents=True)
    settings = directory / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)


def make_token(label: str) -> None:
    """Make a token of this label."""
    line = [TOOL, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN * 2]
    subprocess.run(line, check=True, capture_output=True)
