"""Machine code of modules, kept between two starts: what was not put there by this installation does not run.

Whoever can put machine code into a process is that process. So each file carries a MAC under a key that only this
user can read, over its name as well, which says the module, the engine and the machine that it was compiled for.
Whatever is wrong with a file, it is as if it were not there, and the module is compiled again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import platform
import secrets
import stat
from pathlib import Path

import attrs

from actors.connectors.guest_grant import RUNTIME_VERSION
from actors.process.durable import replace, write_new
from helm.contracts.errors import Invalid
from helm.runtime.sandbox.guest import SETTINGS

KEY_FILE = "cache.key"
KEY_BYTES = 32
MAC_BYTES = 32

MAX_CODE_BYTES = 256 * 1024 * 1024
"""The most that is read of one file (T4)."""

FOR = f"wasmtime {RUNTIME_VERSION}, {SETTINGS}, {platform.system()} {platform.machine()}"
"""Whatever machine code depends on; the library itself refuses what another processor was compiled for."""


@attrs.frozen
class ModuleCache:
    """The machine code beside the modules of an installation."""

    folder: Path

    def get(self, module_hash: str) -> bytes:
        """Return the machine code of a module, b"" where there is none that can be relied on."""
        key = self._key()
        kept = read_private(self._file(module_hash), MAC_BYTES + MAX_CODE_BYTES)
        if not key or not hmac.compare_digest(kept[:MAC_BYTES], self._mac(key, module_hash, kept[MAC_BYTES:])):
            return b""
        return kept[MAC_BYTES:]

    def put(self, module_hash: str, code: bytes) -> None:
        """Keep the machine code of a module, where there is room for it."""
        key = self._key()
        if not key:
            return
        try:
            replace(self._file(module_hash), self._mac(key, module_hash, code) + code)
        except Invalid:
            return  # a cache that cannot be written costs time, and nothing else

    def _file(self, module_hash: str) -> Path:
        engine = hashlib.sha256(FOR.encode()).hexdigest()[:16]
        return self.folder / f"{module_hash.removeprefix('sha256:')}.{engine}.code"

    def _mac(self, key: bytes, module_hash: str, code: bytes) -> bytes:
        return hmac.digest(key, f"HELM/ModuleCache/v1\n{module_hash}\n{FOR}\n".encode() + code, "sha256")

    def _key(self) -> bytes:
        """Return the key, made where there is none yet, b"" where there can be none."""
        path = self.folder / KEY_FILE
        try:
            write_new(path, secrets.token_bytes(KEY_BYTES))
        except OSError:
            pass  # it is there, or the folder cannot be written: what is read says which
        key = read_private(path, KEY_BYTES + 1)
        return key if len(key) == KEY_BYTES else b""


def read_private(path: Path, at_most: int) -> bytes:
    """Return what a file holds that is this user's own and that nobody else can read or write, else b""."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(file, "rb") as opened:
        status = os.fstat(file)
        is_private = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
        return opened.read(at_most) if is_private and status.st_size <= at_most else b""
