"""Whether a release can be built here: git, and the very setuptools that the project names."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from release.commit import project_of
from tests.gates.source import ROOT

HOW: Final = (
    "release: NOT BUILT. Install git, and the setuptools that builds it: pip install -c constraints.txt -e '.[release]'"
)


def can_build() -> bool:
    """Tell whether a release can be made here."""
    (wanted,) = project_of(ROOT)["build-system"]["requires"]
    try:
        found = version("setuptools")
    except PackageNotFoundError:
        return False
    return shutil.which("git") is not None and wanted == f"setuptools=={found}"
