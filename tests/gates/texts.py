"""Every text file that a commit would carry, found without git."""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from tests.gates.source import ROOT

LARGEST: Final = 1 << 20  # a file beyond this is data, and no gate reads data for words


def files_of(tree: Path = ROOT) -> Iterator[Path]:
    """The files of the tree that .gitignore does not name, relative to it, in order."""
    ignored = [line.rstrip("/") for line in (tree / ".gitignore").read_text(encoding="utf-8").splitlines()]
    yield from (path.relative_to(tree) for path in _walk(tree, [".git", *filter(None, ignored)]))


def texts_of(tree: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """The same files with what they say, where they are text."""
    for path in files_of(tree):
        raw = (tree / path).read_bytes()
        if len(raw) <= LARGEST and b"\0" not in raw:
            yield path, raw.decode("utf-8", errors="replace")


def _walk(folder: Path, ignored: list[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if any(fnmatch(path.name, pattern) for pattern in ignored) or path.is_symlink():
            continue
        if path.is_dir() and not (path / "pyvenv.cfg").exists():  # an environment is other people's text
            yield from _walk(path, ignored)
        elif path.is_file():
            yield path
