"""Other Pythons with HELM's libraries: the same log makes the same pack in each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from tests.counterparts.programs import NAME as COUNTERPARTS

HOW: Final = (
    "evidence packs: other Pythons were NOT RUN. Put one on the PATH that has HELM's libraries, such as python3.12, "
    "or run `tests/counterparts/install DIR` on a machine that has one, and set HELM_COUNTERPARTS=DIR"
)


ROOT: Final = Path(__file__).resolve().parents[2]
NAMES: Final = ("python3.11", "python3.12", "python3.13", "python3.14")


def environment() -> dict[str, str]:
    """Return an environment in which another Python finds this HELM."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@cache
def program(name: str) -> str | None:
    """Return where a Python is that can run HELM, None where there is none of this name."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if place := os.environ.get(COUNTERPARTS):
        folders.append(f"{place}/pythons/{name}/bin")
    found = dict.fromkeys(filter(None, (shutil.which(name, path=folder) for folder in folders)))
    return next((python for python in found if runs_helm(python, name)), None)


def runs_helm(python: str, name: str) -> bool:
    """Tell whether this Python is what its name says, and has HELM's libraries."""
    code = "import sys, helm.evidence.pack; print('python{}.{}'.format(*sys.version_info), end='')"
    ended = subprocess.run([python, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    return ended.returncode == 0 and ended.stdout == name


def is_there_another() -> bool:
    """Tell whether any is of another version than this one."""
    own = "python{}.{}".format(*sys.version_info)
    return any(program(name) for name in NAMES if name != own)
