"""A base image for HELM's Containerfile that comes from no registry: this host's Python, and the libraries of this run.

It stands for an image of Python such as everybody's: an interpreter in /usr/local, a shell, and what `install` needs.
What pip would download lies in it already, compiled as pip would, so that a build needs no network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from compileall import compile_dir
from importlib.metadata import distribution
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

from release.commit import project_of
from release.lock import locked
from tests.gates.source import ROOT

NAME: Final = "localhost/python"
SITE: Final = "/opt/site"

LEFT_OUT: Final = shutil.ignore_patterns("test", "tests", "idlelib", "tkinter", "*.a", "site-packages")

PROGRAMS: Final = ("sh", "install", "env")

PIP_ARGS: Final = "--no-index --no-build-isolation --no-deps"

BUILDERS: Final = ("setuptools", "packaging")
"""What builds a wheel there; with a network, pip fetches it."""

VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"


def lay_out(folder: Path) -> Path:
    """Lay the image's files out below a folder, and return it."""
    local = folder / "usr" / "local"
    base = Path(sys.base_prefix)
    shutil.copytree(base / "lib" / VERSION, local / "lib" / VERSION, ignore=LEFT_OUT, symlinks=True)
    for library in (base / "lib").glob("libpython*.so*"):
        shutil.copy2(library, local / "lib")
    (local / "bin").mkdir()
    shutil.copy2(base / "bin" / VERSION, local / "bin" / VERSION)
    (local / "bin" / "python3").symlink_to(VERSION)
    lay_libraries(folder)
    lay_programs(folder)
    (folder / "tmp").mkdir(mode=0o1777)
    (folder / "tmp").chmod(0o1777)
    (folder / "etc").mkdir()
    (folder / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    return folder


def lay_libraries(folder: Path) -> None:
    """Lay out what HELM needs, and what builds it, file by file as their installers noted them."""
    lock = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    names = [one.name for one in locked(project_of(ROOT)["project"], lock)]
    for name in (*names, *BUILDERS):
        held = distribution(name)
        for file in held.files or ():
            source, target = Path(str(held.locate_file(file))), Path(os.path.normpath(f"{folder}{SITE}/{file}"))
            if source.is_file() and target.is_relative_to(folder / SITE.lstrip("/")) and source.suffix != ".pyc":
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    compile_dir(folder / SITE.lstrip("/"), quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)


def lay_programs(folder: Path) -> None:
    """Lay out the programs, and every shared library that anything in the image asks this host for."""
    (folder / "bin").mkdir()
    (folder / "usr" / "bin").symlink_to("../bin")
    for name in PROGRAMS:
        shutil.copy2(Path(shutil.which(name) or "").resolve(), folder / "bin" / name)
    found = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink() and is_code(file)]
    for library in sorted(set(needed(found))):
        target = folder / library.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(library).resolve(), target)


def is_code(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def needed(files: Iterable[Path]) -> Iterator[str]:
    """Yield the host's libraries that these files are linked with."""
    listed = [str(file) for file in files]
    environment = {"LD_LIBRARY_PATH": f"{sys.base_prefix}/lib", "PATH": os.defpath}
    said = subprocess.run(["ldd", *listed], capture_output=True, text=True, env=environment, check=False).stdout
    for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", said, re.MULTILINE):
        if path.startswith(("/lib", "/usr/lib")):
            yield path
