"""The archives of a release, the same bytes wherever they are built: sources into an sdist, that into a wheel.

Setuptools says what belongs into them. The order, modes, owners and times of what is in there are ours, and so is the
packing: it depends on the commit, on the version of setuptools that pyproject.toml names, and on zlib.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from release.commit import FILE_MODE, PROGRAM_MODE, Commit, project_of

BACKEND: Final = "setuptools"

HOOK: Final = "import sys; from setuptools import build_meta; getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2])"

BUILD_S: Final = 300.0

LEVEL: Final = 9

UMASK: Final = 0o022


@attrs.frozen(kw_only=True)
class Archives:
    """A wheel and an sdist."""

    wheel: Path
    sdist: Path


def build(commit: Commit, workplace: Path, target: Path) -> Archives:
    """Build both into `target`. Raises Invalid where setuptools is not the one that the project names."""
    sources, unpacked = workplace / "sources", workplace / "unpacked"
    sources.mkdir(parents=True)
    commit.unpack(sources)
    check_backend(project_of(sources)["build-system"]["requires"])
    sdist = built("sdist", sources, workplace / "sdist", commit.epoch)
    packed = target / sdist.name
    packed.write_bytes(repacked_sdist(sdist.read_bytes(), commit.epoch))
    with tarfile.open(packed) as tar:
        tar.extractall(unpacked, filter="data")
    (inner,) = unpacked.iterdir()
    wheel = built("wheel", inner, workplace / "wheel", commit.epoch)
    final = target / wheel.name
    final.write_bytes(repacked_wheel(wheel.read_bytes(), commit.epoch))
    return Archives(wheel=final, sdist=packed)


def check_backend(requires: list[str]) -> None:
    """Raise Invalid unless the setuptools that is installed is the only one that may build this."""
    (wanted,) = requires
    name, _, exact = wanted.partition("==")
    try:
        found = version(name)
    except PackageNotFoundError:
        found = "none"
    if name != BACKEND or found != exact:
        hint = "pip install -c constraints.txt -e '.[release]'"
        raise Invalid(f"{found} is installed, the project is built by {wanted}", BACKEND, hint)


def built(kind: str, sources: Path, place: Path, epoch: int) -> Path:
    """Have setuptools build one archive, told nothing of this machine, and return it. Raises Invalid."""
    place.mkdir()
    environment = {
        "HOME": str(place),
        "LC_ALL": "C.UTF-8",
        "PATH": os.defpath,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("site-packages")),
        "SOURCE_DATE_EPOCH": str(epoch),
        "TZ": "UTC",
    }
    line = [sys.executable, "-c", HOOK, kind, str(place)]
    ended = subprocess.run(
        line, cwd=sources, env=environment, umask=UMASK, capture_output=True, timeout=BUILD_S, check=False
    )
    found = [path for path in place.iterdir() if path.suffix in (".whl", ".gz")]
    if ended.returncode or len(found) != 1:
        raise Invalid(f"no {kind} came out: {ended.stderr.decode(errors='replace')[-2000:]}", BACKEND)
    return found[0]


def repacked_wheel(raw: bytes, epoch: int) -> bytes:
    """Return a wheel with the same files in one order, of one mode and time; RECORD, which lists them, is last."""
    moment = time.gmtime(epoch)[:6]
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(written, "w") as new:
        names = [name for name in old.namelist() if not name.endswith("/")]
        for name in sorted(names, key=lambda name: (name.endswith(".dist-info/RECORD"), ".dist-info/" in name, name)):
            info = zipfile.ZipInfo(name, moment)
            info.create_system, info.external_attr = 3, (0o100000 | FILE_MODE) << 16
            new.writestr(info, old.read(name), zipfile.ZIP_DEFLATED, LEVEL)
    return written.getvalue()


def repacked_sdist(raw: bytes, epoch: int) -> bytes:
    """Return an sdist with the same files in one order, of nobody's and of one time."""
    plain = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(raw)) as old,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            if member.isfile():
                info = tarfile.TarInfo(member.name)
                info.size, info.mtime = member.size, epoch
                info.mode = PROGRAM_MODE if member.mode & 0o100 else FILE_MODE
                new.addfile(info, old.extractfile(member))
    written = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=written, mode="wb", compresslevel=LEVEL, mtime=epoch) as packed:
        packed.write(plain.getvalue())
    return written.getvalue()
