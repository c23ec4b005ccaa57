"""Other Pythons with HELM's libraries: the same log makes the same pack in each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

HOW: Final = (
    "evidence packs: other Pythons were NOT RUN. Put one on the PATH that has HELM's libraries, such as python3.12"
)

ROOT: Final = Path(__file__).resolve().parents[2]
NAMES: Final = ("python3.11", "python3.12", "python3.13", "python3.14")


def environment() -> dict[str, str]:
    """Return an environment in which another Python finds this HELM."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@cache
def program(name: str) -> str | None:
    """Return where a Python is that can run HELM, None where there is none of this name."""
    python = shutil.which(name)
    if python is None:
        return None
    code = "import helm.evidence.pack"
    ended = subprocess.run([python, "-c", code], capture_output=True, env=environment(), check=False)
    return python if ended.returncode == 0 else None


def is_there_another() -> bool:
    """Tell whether any is of another version than this one."""
    own = "python{}.{}".format(*sys.version_info)
    return any(program(name) for name in NAMES if name != own)
