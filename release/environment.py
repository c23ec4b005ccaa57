"""A clean environment: an interpreter that has a wheel of ours, what that needs, and nothing of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

import attrs

from helm.contracts.errors import Invalid

RUN_S: Final = 300.0

TAKEN_AWAY: Final = ("HELM_", "PYTHON", "PIP_", "DATABASE_URL", "VIRTUAL_ENV")
"""Settings of this machine that no program in there may see."""


@attrs.frozen(kw_only=True)
class Environment:
    """An environment below a folder."""

    folder: Path
    borrowed: bool
    """Whether what the wheel needs is this interpreter's, not installed from wheels."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
        """Run one of its programs in a folder of nobody's, and return how that ended."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith(TAKEN_AWAY)}
        line = [str(self.folder / "bin" / words[0]), *words[1:]]
        return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, timeout=RUN_S, check=False)

    def check_origin(self, cwd: Path) -> None:
        """Raise Invalid unless what is imported there is what was installed there."""
        asked = "import actors, helm; print(actors.__file__); print(helm.__file__)"
        ended = self.run("python", "-c", asked, cwd=cwd)
        places = ended.stdout.decode().split()
        if len(places) != 2 or not all(place.startswith(str(self.folder)) for place in places):
            raise Invalid(f"it runs what it was not given: {ended.stdout!r} {ended.stderr[-500:]!r}", "environment")


def install(wheel: Path, folder: Path, wheels: Path | None = None) -> Environment:
    """Make an environment, and install a wheel without a network. Raises Invalid.

    With a folder of wheels, all that it needs comes from there; without, this interpreter's libraries are borrowed.
    """
    venv.EnvBuilder(with_pip=False).create(folder)
    made = Environment(folder=folder.resolve(), borrowed=wheels is None)
    words = ["--no-deps"] if wheels is None else ["--find-links", str(wheels)]
    line = [sys.executable, "-m", "pip", "--python", str(made.python), "install", "--quiet", "--no-index", *words]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(TAKEN_AWAY)}
    line += ["--no-warn-script-location", "--disable-pip-version-check", str(wheel)]
    ended = subprocess.run(line, env=environment, capture_output=True, timeout=RUN_S, check=False)
    if ended.returncode:
        raise Invalid(f"it cannot be installed: {ended.stderr.decode(errors='replace')[-1000:]}", wheel.name)
    if wheels is None:
        borrow(made)
    return made


def borrow(made: Environment) -> None:
    """Let the environment find this interpreter's libraries, behind its own; no code of ours among them is run."""
    (site,) = made.folder.glob("lib/python*/site-packages")
    places = [path for path in sys.path if path.endswith("site-packages")]
    (site / "borrowed.pth").write_text("".join(f"{place}\n" for place in places), encoding="utf-8")
