"""One folder of files as two tools, read and list.

A path is walked one name at a time from the folder's own descriptor, and no step follows a link (openat with
O_NOFOLLOW): there is no moment between a check and a use in which a link could be put in the way (T9).
"""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

import attrs
import trio

from actors.connectors.port import ConnectorFailed, Dispatch, NotDispatched
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical
from helm.crypto.hashing import sha256

MAX_FILE_BYTES = 700 * 1024
"""Largest file that is read unless told otherwise: as base64 it still fits into one answer of 1 MiB (T4)."""

MAX_ENTRIES = 2000
"""Longest folder that is listed (T4)."""

MAX_PATH_CHARS = 4096
MAX_NAMES = 64
"""Longest path in names: each is one open descriptor for a moment, and one system call (T4)."""

MAX_THREADS = 16
"""Calls at a time: a hung network file system holds this many threads and no more (T4)."""

ENCODINGS = frozenset({"utf-8", "base64"})

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe that nobody writes to must not hold the thread before it is seen to be a pipe.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


@attrs.frozen
class _Asked:
    names: tuple[str, ...]
    path: str
    encoding: str


class FilesConnector:
    """Reads and lists below one folder. Operations: read {path, encoding?} and list {path}."""

    def __init__(self, root: Path, *, max_bytes: int = MAX_FILE_BYTES, place: str = "root") -> None:
        if not root.is_dir():
            what = "is not a folder" if root.exists() else "no such folder"
            hint = "make it, or bring it back from a copy; for another root, change the policy and sign its next epoch"
            raise Invalid(f"{root}: {what}", place, hint)
        self._max_bytes = max_bytes
        self._root = root.resolve(strict=True)
        self._identity = _identity(os.stat(self._root))
        self._threads = trio.CapacityLimiter(MAX_THREADS)
        self._operations: MappingProxyType[str, Callable[[_Asked], JSONValue]] = MappingProxyType(
            {"read": self._read, "list": self._list}
        )

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return {path, text or base64, bytes, sha256} of a file or {path, entries} of a folder."""
        operation = self._operations.get(order.operation)
        if operation is None:
            raise NotDispatched(ReasonCode.POLICY_NOT_READY, f"files have no operation {order.operation!r}")
        asked = _asked(order.parsed)
        perform = partial(_within_one_answer, operation, asked)
        try:
            return await trio.to_thread.run_sync(perform, abandon_on_cancel=True, limiter=self._threads)
        except OSError as problem:
            # Only the error's own words: the message names paths outside the folder.
            raise ConnectorFailed(f"{asked.path}: {os.strerror(problem.errno or 0)}") from problem

    async def aclose(self) -> None:
        """Nothing is held between calls."""

    def _read(self, asked: _Asked) -> JSONValue:
        with self._folder(asked.names[:-1]) as folder:
            data = _content(asked, folder, self._max_bytes)
        answer = {"path": asked.path, "bytes": len(data), "sha256": sha256(data)}
        if asked.encoding == "base64":
            return answer | {"base64": b64encode(data).decode()}
        try:
            return answer | {"text": data.decode("utf-8")}
        except UnicodeDecodeError as problem:
            raise ConnectorFailed(f"{asked.path}: not UTF-8; ask for the encoding base64") from problem

    def _list(self, asked: _Asked) -> JSONValue:
        entries: list[dict[str, JSONValue]] = []
        with self._folder(asked.names) as folder, os.scandir(folder) as found:
            for entry in found:
                if len(entries) == MAX_ENTRIES:
                    raise ConnectorFailed(f"{asked.path}: more than {MAX_ENTRIES} entries")
                entries.append(_described(entry))
        return {"path": asked.path, "entries": sorted(entries, key=lambda entry: str(entry["name"]))}

    @contextmanager
    def _folder(self, names: tuple[str, ...]) -> Iterator[int]:
        """Open the folder that the names lead to, and close it afterwards."""
        here = os.open(self._root, _FOLDER)
        try:
            if _identity(os.fstat(here)) != self._identity:
                raise ConnectorFailed("the folder was replaced since the start")
            for name in names:
                below = os.open(name, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)


def _within_one_answer(operation: Callable[[_Asked], JSONValue], asked: _Asked) -> JSONValue:
    answer = operation(asked)
    try:
        canonical(answer)
    except Malformed as problem:
        raise ConnectorFailed(f"{asked.path}: does not fit into one answer: {problem.problem}") from problem
    return answer


def _asked(arguments: JSONValue) -> _Asked:
    if type(arguments) is not dict or type(arguments.get("path")) is not str:
        raise NotDispatched(ReasonCode.SCHEMA_VIOLATION, "the argument 'path' is no text")
    path, encoding = arguments["path"], arguments.get("encoding", "utf-8")
    if encoding not in ENCODINGS:
        raise NotDispatched(ReasonCode.SCHEMA_VIOLATION, "the argument 'encoding' is not utf-8 or base64")
    return _Asked(_names(path), path, encoding)


def _names(path: str) -> tuple[str, ...]:
    """Split a relative path; "." is the folder itself. Raises NotDispatched for a path that could climb."""
    names = () if path == "." else tuple(path.split("/"))
    if len(path) > MAX_PATH_CHARS or len(names) > MAX_NAMES:
        raise NotDispatched(ReasonCode.POLICY_VIOLATION, "the path is too long")
    if not path.isprintable() or any(name in ("", ".", "..") for name in names):
        raise NotDispatched(ReasonCode.POLICY_VIOLATION, "the path is not a plain relative path below the folder")
    return names


def _content(asked: _Asked, folder: int, max_bytes: int) -> bytes:
    if not asked.names:
        raise ConnectorFailed(f"{asked.path}: is a folder; list it")
    file = os.open(asked.names[-1], _FILE, dir_fd=folder)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ConnectorFailed(f"{asked.path}: is no regular file")
        return _bounded(asked, file, max_bytes)
    finally:
        os.close(file)


def _bounded(asked: _Asked, file: int, max_bytes: int) -> bytes:
    # The size in the status may be out of date by now; what counts is what was read.
    data = bytearray()
    while chunk := os.read(file, max_bytes + 1 - len(data)):
        data += chunk
        if len(data) > max_bytes:
            raise ConnectorFailed(f"{asked.path}: larger than {max_bytes} bytes")
    return bytes(data)


def _described(entry: os.DirEntry[str]) -> dict[str, JSONValue]:
    status = entry.stat(follow_symlinks=False)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    # A name that is no UTF-8 is shown as far as it is text; it cannot be asked for.
    name = os.fsencode(entry.name).decode("utf-8", "replace")
    return {"name": name, "kind": kind, "bytes": status.st_size if kind == "file" else 0}


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
