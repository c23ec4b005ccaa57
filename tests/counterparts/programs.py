"""Programs of other makes that our tests talk to: HELM_COUNTERPARTS names the folder they were installed in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NAME = "HELM_COUNTERPARTS"
HOW = "counterparts: NOT RUN. Install them with `tests/counterparts/install DIR` and set HELM_COUNTERPARTS=DIR"


def folder() -> Path:
    """Return where they are, or skip the test where nobody installed them."""
    root = os.environ.get(NAME)
    if not root:
        pytest.skip(HOW)
    return Path(root)


def node() -> Path:
    """Return the interpreter of JavaScript that was installed with them."""
    return folder() / "node-binary"


def npm_bin(name: str) -> list[str]:
    """Return what runs one of them, to be followed by its own arguments. A folder without it is a broken install."""
    script = folder() / "node_modules" / ".bin" / name
    return [str(node()), str(script.resolve(strict=True))]


def package(path: str) -> Path | None:
    """Return a file of a package that was installed with them, None where nobody installed them."""
    root = os.environ.get(NAME)
    return (Path(root) / "node_modules" / path).resolve(strict=True) if root else None
