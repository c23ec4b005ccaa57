"""The standalone registry: a file of snapshots for a journal whose store keeps rows alone, or for a place of its own.

It is a workbench and no authority. Nothing that stands in it grants anything: what it says is compared with what the
rows come to, and a file that says otherwise keeps a kernel from starting until it is deleted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from actors.process import durable
from actors.stores import lock
from actors.stores.snapshot import Snapshot
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import canonical, parse

VERSION: Final = "helm.surfaces/1"
FOLDER_MODE: Final = 0o700

MAX_BYTES: Final = 256 * 1024 * 1024
"""Nobody makes us read more (T4): a registry holds a few kilobytes for each approval."""

HINT: Final = "it may be deleted at any time: the next start makes it again from the journal"
KINDS: Final = {"surface": str, "upto_seq": int, "format": int, "state": str, "state_hash": str}

# No link is followed to a file that someone else chose, and no FIFO makes the start wait for ever.
READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@attrs.frozen(kw_only=True)
class RegistryFile:
    """The registry of one log."""

    path: Path
    log_id: str

    def snapshots(self) -> list[Snapshot]:
        """Return what was kept; none where there is no file yet. Raises Invalid."""
        raw = self._content()
        if raw is None:
            return []
        try:
            body = parse(raw, max_bytes=MAX_BYTES)
        except Malformed as problem:
            raise Invalid(f"is not JSON: {problem}", str(self.path), HINT) from problem
        if type(body) is not dict or body.keys() != {"log_id", "snapshots", "version"} or body["version"] != VERSION:
            raise Invalid(f"is no registry of {VERSION}", str(self.path), HINT)
        if body["log_id"] != self.log_id:
            hint = "name a file of this installation's own in HELM_BOUNDARY_REGISTRY_PATH"
            raise Invalid(f"is the registry of log {body['log_id']}", str(self.path), hint)
        return [self._snapshot(one) for one in body["snapshots"]]

    def keep(self, snapshots: Sequence[Snapshot]) -> None:
        """Put these in the place of all that was kept, in one step. Raises Invalid."""
        rows = [attrs.asdict(one) for one in snapshots]
        content = canonical({"log_id": self.log_id, "snapshots": rows, "version": VERSION}, max_bytes=MAX_BYTES)
        try:
            self.path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as problem:
            raise Invalid(f"its folder cannot be made: {problem.strerror}", str(self.path)) from problem
        descriptor = lock.take(self.path.with_name(f"{self.path.name}.lock"))
        try:
            durable.replace(self.path, content)
        finally:
            os.close(descriptor)

    def _snapshot(self, one: object) -> Snapshot:
        if type(one) is not dict or {name: type(value) for name, value in one.items()} != KINDS:
            raise Invalid("holds what is no snapshot", str(self.path), HINT)
        return Snapshot(**one)

    def _content(self) -> bytes | None:
        try:
            with os.fdopen(os.open(self.path, READ_FLAGS), "rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise Invalid("others may read or write it", str(self.path), f"chmod 0600 {self.path}")
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise Invalid(f"cannot be read: {problem.strerror}", str(self.path), HINT) from problem
        if len(content) > MAX_BYTES:
            raise Invalid(f"more than {MAX_BYTES} bytes", str(self.path), HINT)
        return content
