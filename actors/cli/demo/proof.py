"""What the evidence proves to a stranger: a process without network believes the pack, until one byte changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

import actors
from actors.cli.demo.play import Result
from actors.cli.demo.steps import SEEN_BY_THE_WORLD, SESSION
from actors.cli.evidence import export_pack
from actors.cli.failure import Failed
from actors.founding import TENANT
from actors.installation import Installation
from helm.evidence.selection import Selection

PACK = "demo-pack.tar"
TAMPERED = "demo-pack-tampered.tar"

TARGET = b'"verdict":"DENY"'
"""What somebody would like to have been otherwise: one letter of it is changed."""

SOURCE = Path(actors.__file__).parent.parent
TIMEOUT_S = 60.0


@attrs.frozen(kw_only=True)
class Verification:
    """What the second process said of a pack."""

    code: int
    report: dict[str, Any]

    @property
    def failed(self) -> dict[str, Any] | None:
        """The check that did not hold, None where all did."""
        return next((check for check in self.report["checks"] if not check["ok"]), None)


@attrs.frozen(kw_only=True)
class Proof:
    """The end of the demonstration."""

    seen: tuple[str, ...]
    pack: Path
    pack_bytes: int
    receipts: int
    """Receipts that were handed out: the pack must hold exactly as many."""
    believed: Verification
    refused: Verification

    @property
    def seen_as_expected(self) -> bool:
        """Whether the service saw what it had to see, and nothing else."""
        return self.seen == SEEN_BY_THE_WORLD

    @property
    def authentic(self) -> bool:
        """Whether the pack was believed, and holds every receipt that was handed out."""
        whole = self.believed.report["authenticated"] is True and self.believed.code == 0
        return whole and self.believed.report["subject"]["receipts"] == self.receipts

    @property
    def flip_refused(self) -> bool:
        """Whether the changed pack was refused, by a check with a name."""
        return self.refused.code == 1 and self.refused.failed is not None

    @property
    def holds(self) -> bool:
        """Whether all of it is as it must be."""
        return self.seen_as_expected and self.authentic and self.flip_refused

    def body(self) -> dict[str, Any]:
        """Return the proof as a JSON object."""
        return {
            "upstream": {"seen": list(self.seen), "expected": list(SEEN_BY_THE_WORLD), "ok": self.seen_as_expected},
            "pack": {
                "path": str(self.pack),
                "bytes": self.pack_bytes,
                "receipts": self.receipts,
                "network": "refused by an audit hook in the verifying process",
                "report": self.believed.report,
                "ok": self.authentic,
            },
            "tampered": {"changed_bytes": 1, "refused_by": self.refused.failed, "ok": self.flip_refused},
        }


def prove(place: Installation, results: list[Result], seen: list[str]) -> Proof:
    """Export the session, and have it verified twice: as it is, and with one byte changed. Raises Invalid."""
    pack, tampered = place.path / PACK, place.path / TAMPERED
    export_pack(place, Selection(tenant=TENANT, session_id=SESSION), pack)
    raw = pack.read_bytes()
    tampered.write_bytes(with_one_byte_changed(raw))
    return Proof(
        seen=tuple(seen),
        pack=pack,
        pack_bytes=len(raw),
        receipts=len({result.answer.receipt_id for result in results} - {""}),
        believed=verified_by_another(pack, place.log_id),
        refused=verified_by_another(tampered, place.log_id),
    )


def with_one_byte_changed(raw: bytes) -> bytes:
    """Return the pack with one letter of a verdict changed."""
    place = raw.index(TARGET) + len(TARGET) - 2
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def verified_by_another(pack: Path, log_id: str) -> Verification:
    """Have a second process verify a pack: its own interpreter, no settings of ours, every socket refused."""
    line = [sys.executable, "-m", "actors.cli.offline", "verify", str(pack), "--log-id", log_id, "--json"]
    others = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "PYTHON"))}
    environment = {**others, "PYTHONPATH": str(SOURCE)}
    ended = subprocess.run(line, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    if not ended.stdout:
        raise Failed("the second process found no words", ended.stderr.decode(errors="replace")[-500:], "NO_REPORT")
    return Verification(code=ended.returncode, report=json.loads(ended.stdout))
