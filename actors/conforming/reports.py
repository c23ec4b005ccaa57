"""The signed reports of an installation, one file each, named by what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from actors.process import durable
from helm.conformance.report import MEMBERS
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import parse

FOLDER: Final = "conformance"
NAME: Final = re.compile(r"conf_[0-9a-f]{32}")

MAX_BYTES: Final = 16 * 1024 * 1024
"""Longest report that is read (T4)."""

MAX_KEPT: Final = 100
"""Reports that are kept: the oldest go first (T4)."""

FOLDER_MODE: Final = 0o700

NOT_OURS: Final = "remove it: it was not written by a run"


@attrs.frozen
class Reports:
    """The reports below one data directory."""

    data_dir: Path

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.data_dir / FOLDER

    def keep(self, document: dict[str, Any]) -> None:
        """Write one report; the oldest ones that are too many go."""
        self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        name = document["report"]["report_id"]
        durable.replace(self.folder / f"{name}.json", json.dumps(document).encode())
        for file in self.files()[MAX_KEPT:]:
            file.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return every report's file, the latest first."""
        found = [file for file in self.folder.glob("conf_*.json") if NAME.fullmatch(file.stem)]
        return sorted(found, key=lambda file: (written_at_ns(file), file.name), reverse=True)

    def get(self, name: str) -> dict[str, Any] | None:
        """Return one report, None where there is none of this name. Raises Invalid."""
        if NAME.fullmatch(name) is None:
            return None
        file = self.folder / f"{name}.json"
        try:
            raw = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise Invalid(f"cannot be read: {problem.strerror}", str(file), NOT_OURS) from problem
        try:
            document = parse(raw, max_bytes=MAX_BYTES)
        except Malformed as problem:
            raise Invalid(f"is not JSON: {problem}", str(file), NOT_OURS) from problem
        if type(document) is not dict or type(report := document.get("report")) is not dict or report.keys() != MEMBERS:
            raise Invalid("is no report", str(file), NOT_OURS)
        return document

    def all(self) -> Iterator[dict[str, Any]]:
        """Yield the reports, the latest first. Raises Invalid."""
        for file in self.files():
            found = self.get(file.stem)
            if found is not None:
                yield found


def written_at_ns(file: Path) -> int:
    """Return when a file was written, 0 for one that a run has pushed out meanwhile."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
