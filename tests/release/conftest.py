"""A checkout to release from, and a release of it: made once, because it takes a while."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import attrs
import pytest

from release import key
from release.making import Wanted, make
from release.provenance import Origin
from tests.counterparts.release import HOW, can_build
from tests.gates.source import ROOT
from tests.gates.texts import files_of

REPOSITORY: Final = "urn:example:helm"

WHEN: Final = "2026-01-02T03:04:05+00:00"


def git(folder: Path, *words: str) -> None:
    who = {f"GIT_{role}_{name}": "helm@example.com" for role in ("AUTHOR", "COMMITTER") for name in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": WHEN, "GIT_COMMITTER_DATE": WHEN, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(
        ["git", "-C", str(folder), *words], env={**os.environ, **who, **dates}, check=True, capture_output=True
    )


@attrs.frozen(kw_only=True)
class Released:
    """A release, and what its makers keep or tell."""

    folder: Path
    key: key.ReleaseKey
    origin: Origin

    def copy(self, to: Path) -> Path:
        """Return a copy of its folder, to be tampered with."""
        shutil.copytree(self.folder, to)
        return to


def commit_all(folder: Path) -> None:
    """Commit the sources as they lie here to a repository of their own."""
    for file in files_of():
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, target)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "A release")


def build_once(place: Path) -> None:
    """Make the checkout and its release, unless another worker of this run has."""
    if place.exists():
        return
    coming = place.with_suffix(".coming")
    commit_all(coming / "checkout")
    signing = key.make(coming / "release.key")
    wanted = Wanted(root=coming / "checkout", target=coming / "out", key=signing, repository=REPOSITORY)
    make(wanted, lambda line: None)
    coming.rename(place)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of this run share."""
    if not can_build():
        pytest.skip(HOW)
    root = tmp_path_factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    with (root / "release.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_once(root / "release")
    return root / "release"


@pytest.fixture(scope="session")
def checkout(place: Path) -> Path:
    """The sources as they lie here, committed."""
    return place / "checkout"


@pytest.fixture(scope="session")
def released(place: Path) -> Released:
    """A release of them."""
    origin = Origin(repository=REPOSITORY, ref="refs/heads/main")
    return Released(folder=place / "out", key=key.read(place / "release.key"), origin=origin)
