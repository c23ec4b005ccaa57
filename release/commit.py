"""The sources of a release: what one commit holds, whatever lies beside it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid

FILE_MODE: Final = 0o644
PROGRAM_MODE: Final = 0o755
"""Modes are the commit's: a wheel built under another umask must be the same wheel."""


@attrs.frozen(kw_only=True)
class Commit:
    """A commit of a checkout."""

    root: Path
    sha: str
    ref: str
    epoch: int
    """When it was made, in POSIX seconds: every time in the release is this one."""

    @classmethod
    def at_head(cls, root: Path) -> Commit:
        """Return the commit that is checked out. Raises Invalid where files differ from it, or git is not there."""
        changed = git(root, "status", "--porcelain").decode()
        if changed:
            first = changed.splitlines()[0].strip()
            raise Invalid(f"the checkout differs from its commit: {first}", str(root), "commit it first")
        sha, epoch = git(root, "show", "--no-patch", "--format=%H %ct", "HEAD").decode().split()
        ref = git(root, "rev-parse", "--symbolic-full-name", "HEAD").decode().strip()
        return cls(root=root, sha=sha, ref=ref, epoch=int(epoch))

    def unpack(self, folder: Path) -> None:
        """Write the commit's files below a folder, with modes and times of its own."""
        with tarfile.open(fileobj=io.BytesIO(git(self.root, "archive", "--format=tar", self.sha))) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                held = tar.extractfile(member)
                target.write_bytes(held.read() if held is not None else b"")
                target.chmod(PROGRAM_MODE if member.mode & 0o100 else FILE_MODE)
                os.utime(target, (self.epoch, self.epoch))


def git(root: Path, *words: str) -> bytes:
    """Run git in a checkout and return what it says. Raises Invalid."""
    try:
        ended = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)
    except OSError as problem:
        raise Invalid(f"git cannot be started: {problem.strerror}", str(root)) from problem
    if ended.returncode:
        raise Invalid(f"git {words[0]}: {ended.stderr.decode(errors='replace').strip()}", str(root))
    return ended.stdout


def project_of(folder: Path) -> dict[str, Any]:
    """Return the settings of a source tree."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
