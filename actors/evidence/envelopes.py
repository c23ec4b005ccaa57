"""The envelopes of an installation: one file each under its own name, with its manifest. None grants anything.

What is read back must still be the envelope that its manifest and its name are of. Whether it was signed by a key
that counts, only verifying it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

from actors.process.durable import replace
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.radix64 import from_base64, to_base64
from helm.evidence.envelopes.envelope_manifest import NAME, check_of, facts_of, manifest_of, unseal
from helm.evidence.envelopes.kinds import MEDIA_TYPES
from helm.evidence.envelopes.statement import EvidenceStatement
from helm.evidence.envelopes.unwrap import MAX_ENVELOPE_BYTES, statement_of, unwrap
from helm.evidence.envelopes.wrap import Envelope

FOLDER: Final = "envelopes"

MAX_ENVELOPES: Final = 4096
"""Envelopes of one installation: a list of them reads each (T4)."""

MAX_FILE_BYTES: Final = 2 * MAX_ENVELOPE_BYTES
"""An envelope in base64, and its manifest (T4)."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Kept:
    """An envelope that was read back."""

    name: str
    manifest: dict[str, JSONValue]
    envelope: Envelope

    @property
    def statement(self) -> EvidenceStatement:
        """What it says."""
        return self.envelope.statement

    def body(self) -> dict[str, JSONValue]:
        """Return it as it is shown: the envelope's bytes in base64, whatever its kind."""
        return {
            "envelope": to_base64(self.envelope.raw),
            "manifest": self.manifest,
            "media_type": MEDIA_TYPES[self.envelope.kind],
        }


@attrs.frozen
class Envelopes:
    """Those of an installation. Every method blocks on the disk."""

    folder: Path

    @classmethod
    def of(cls, data_dir: Path) -> Envelopes:
        """Return those of a data directory."""
        return cls(data_dir / FOLDER)

    def keep(self, envelope: Envelope, now_ms: int) -> Kept:
        """Write an envelope down and return it; one that is there stays as it is, with its time. Raises Invalid."""
        manifest = manifest_of(envelope, moment_of(now_ms))
        kept = self.find(manifest["manifest_id"])
        if kept is not None:
            return kept
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if len(self.names()) >= MAX_ENVELOPES:
            hint = "move old ones elsewhere: an envelope is verified without its place here"
            raise Invalid(f"there are {MAX_ENVELOPES} envelopes", str(self.folder), hint)
        body = record_bytes({"envelope": to_base64(envelope.raw), "manifest": manifest})
        replace(self._file(manifest["manifest_id"]), body)
        return Kept(name=manifest["manifest_id"], manifest=manifest, envelope=envelope)

    def find(self, name: str) -> Kept | None:
        """Return an envelope, None where there is none. Raises Invalid for one that is not what it is named."""
        return self._read(self._file(name)) if NAME.fullmatch(name) else None

    def names(self) -> list[str]:
        """Return the names of all, in order."""
        return sorted(file.stem for file in self.folder.glob("env_*.json") if NAME.fullmatch(file.stem))

    def behind(self, after: str) -> Iterator[Kept]:
        """Yield those behind a name, in order. Raises Invalid for one that is not what it is named."""
        for name in self.names():
            found = self._read(self._file(name)) if name > after else None
            if found is not None:
                yield found

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, file: Path) -> Kept | None:
        try:
            with file.open("rb") as opened:
                raw = opened.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise Invalid(f"cannot be read: {problem.strerror}", str(file)) from problem
        try:
            kept = read_kept(raw)
            if kept.name != file.stem:
                raise Invalid("it is another envelope's", "name")
        except (Malformed, Invalid, ValueError, KeyError, TypeError) as problem:
            hint = "delete it, and make it anew: helm evidence envelope create"
            raise Invalid(f"not the envelope that it is named: {problem}", str(file), hint) from problem
        return kept


def read_kept(raw: bytes) -> Kept:
    """Return the envelope in a file. Raises Malformed, Invalid, ValueError, KeyError, TypeError."""
    body = parse(raw, max_bytes=MAX_FILE_BYTES)
    sealed = body["manifest"]
    manifest = unseal(sealed)
    written = from_base64(body["envelope"])
    parted = unwrap(written)
    statement = statement_of(parted)
    check_of(manifest, facts_of(written, parted.kind, parted.payload_type, parted.payload, statement))
    envelope = Envelope(
        kind=parted.kind,
        raw=written,
        payload_type=parted.payload_type,
        payload=parted.payload,
        statement=statement,
    )
    return Kept(name=manifest.manifest_id, manifest=sealed, envelope=envelope)


def moment_of(now_ms: int) -> str:
    """Return a moment as a manifest has it: RFC 3339, in UTC, to the millisecond."""
    return (EPOCH + timedelta(milliseconds=now_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
