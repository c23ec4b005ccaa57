"""The workbench of sandbox grants: drafts, one file each under its own name. None of them grants anything."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from actors.process.durable import replace
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.sandbox import SandboxGrant
from helm.crypto.canonical import parse, record_bytes
from helm.guardian.grants import read_view, view

FOLDER = "grants"

MAX_DRAFTS = 1000
MAX_DRAFT_BYTES = 64 * 1024
"""What a workbench holds (T4)."""

ID = re.compile(r"grant_[0-9a-f]{32}")


@attrs.frozen
class Drafts:
    """The drafts of an installation."""

    folder: Path

    @classmethod
    def of(cls, data_dir: Path) -> Drafts:
        """Return those of a data directory."""
        return cls(data_dir / FOLDER)

    def keep(self, grant: SandboxGrant, now_ms: int) -> dict[str, JSONValue]:
        """Write a draft down and return it; one that is there stays as it is. Raises Invalid."""
        draft = view(grant, connector="", declared_at_ms=now_ms, policy_epoch=0)
        kept = self.find(draft["grant_id"])
        if kept is not None:
            return kept
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if len(self._files()) >= MAX_DRAFTS:
            raise Invalid(f"there are {MAX_DRAFTS} drafts", str(self.folder), "delete some: none grants anything")
        replace(self._file(draft["grant_id"]), record_bytes(draft))
        return draft

    def find(self, grant_id: str) -> dict[str, JSONValue] | None:
        """Return a draft, None where there is none. Raises Invalid for one that is not what it is named."""
        return self._read(self._file(grant_id)) if ID.fullmatch(grant_id) else None

    def all(self) -> list[dict[str, JSONValue]]:
        """Return every draft. Raises Invalid for one that is not what it is named."""
        return [found for file in self._files() if (found := self._read(file)) is not None]

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("grant_*.json"))

    def _file(self, grant_id: str) -> Path:
        return self.folder / f"{grant_id}.json"

    def _read(self, file: Path) -> dict[str, JSONValue] | None:
        try:
            with file.open("rb") as opened:
                raw = opened.read(MAX_DRAFT_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise Invalid(f"cannot be read: {problem.strerror}", str(file)) from problem
        try:
            body: dict[str, JSONValue] = parse(raw, max_bytes=MAX_DRAFT_BYTES)
            read_view(body)
        except (Malformed, Invalid) as problem:
            raise Invalid(f"not the draft that it is named: {problem}", str(file), "delete it") from problem
        if body["grant_id"] != file.stem:
            raise Invalid("another draft's name", str(file), "delete it")
        return body
