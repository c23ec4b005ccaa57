"""Frameworks that agents are written with: HELM_COUNTERPARTS holds an environment of each that installs here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.counterparts.programs import folder


def python_of(framework: str) -> Path:
    """Return the interpreter of a framework's environment, or skip the test where there is none."""
    if framework == "mcp":
        return Path(sys.executable)  # our own environment has it
    python = folder() / "frameworks" / framework / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{framework}: NOT RUN. It did not install here: {python.parent.parent}.log")
    return python
