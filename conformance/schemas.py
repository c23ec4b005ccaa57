"""Writes what is drawn from the contracts: `schemas/`, the replay script's tables, and the script's own hash.

Run `python -m conformance.schemas` after a contract, or the table of the HTTP surface, has changed; a gate compares
all that is written with what it is drawn from.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_origin

from conformance import client_files, console_tables, surface_files
from helm.contracts.approval import Assertion, Challenge, OverrideReason
from helm.contracts.decision import Decision
from helm.contracts.effect import Effect
from helm.contracts.form import kinds_of
from helm.contracts.reason import ESCALATING, ReasonCode
from helm.contracts.receipt import Receipt
from helm.contracts.record import BoundaryRecord
from helm.crypto.domains import KeyPurpose
from helm.crypto.hashing import sha256
from helm.evidence import payloads
from helm.evidence.condensed import Leaf
from helm.evidence.drift import Drift
from helm.evidence.envelopes.schemas import OF_ENVELOPES
from helm.evidence.manifest import Cover
from helm.evidence.schemas import DOCUMENTS, PUBLISHED
from helm.guardian.delegation import DelegationGrant, DelegationRevocation
from helm.guardian.freezes import FreezeCommand
from helm.guardian.overlays import OverlayCommand
from helm.guardian.precedence import RaiseCancel
from helm.guardian.relations import RelationsCommand
from helm.guardian.servers import ServerCommand
from helm.proofgraph.checkpoint import CAUSES, Checkpoint
from helm.proofgraph.graph import MEMBERS
from helm.trust.event import TrustEvent

ROOT: Final = Path(__file__).resolve().parent.parent
SCHEMAS: Final = ROOT / "schemas"
SCRIPT: Final = ROOT / "helm" / "evidence" / "standalone.py.txt"
KNOWN: Final = ROOT / "helm" / "evidence" / "scripts.py"

BEGIN: Final = "# --- Tables, drawn from the contracts by `python -m conformance.schemas` ---\n"
END: Final = "# --- End of the tables ---\n"
NEWEST: Final = 'NEWEST: Final = "'

LETTERS: Final = {str: "s", int: "i", bool: "b", list: "l", dict: "d"}
MADE_OF: Final[Mapping[Any, type]] = {tuple: list, dict: dict}
RECORDS: Final = {
    "COVER": Cover,
    "DECISION": Decision,
    "RECORD": BoundaryRecord,
    "RECEIPT": Receipt,
    "EFFECT": Effect,
    "TRUST_EVENT": TrustEvent,
    "DELEGATION": DelegationGrant,
    "DELEGATION_END": DelegationRevocation,
    "FREEZE": FreezeCommand,
    "CHALLENGE": Challenge,
    "ASSERTION": Assertion,
    "MCP_SERVER": ServerCommand,
    "RELATIONS": RelationsCommand,
    "CHECKPOINT": Checkpoint,
    "LEAF": Leaf,
    "DRIFT": Drift,
    "OVERLAY": OverlayCommand,
    "RAISE_CANCEL": RaiseCancel,
}
SHAPES: Final = {
    "NODE": MEMBERS,
    "INTENT": payloads.INTENT.members,
    "REFUSAL": payloads.REFUSAL.members,
    "OUTCOME": payloads.OUTCOME.members,
    "CHECKPOINT_PAYLOAD": payloads.CHECKPOINT_PAYLOAD.members,
}


def schema_files() -> dict[Path, str]:
    """Return every file of `schemas/` as it must be."""
    return {
        SCHEMAS / f"{one['$id'].split(':')[3]}.json": json.dumps(one, indent=2) + "\n"
        for one in (*DOCUMENTS, *OF_ENVELOPES)
    }


def script() -> str:
    """Return the replay script with its tables as they must be."""
    text = SCRIPT.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}{tables()}{END}{after}"


def known(newest: str) -> str:
    """Return the module of the known scripts with the newest one's hash."""
    before, _, after = KNOWN.read_text(encoding="utf-8").partition(NEWEST)
    return "".join((before, NEWEST, sha256(newest.encode()), after[after.index('"') :]))


def tables() -> str:
    """Return every table of the script as Python."""
    codes = sorted(code.value for code in ReasonCode if code)
    hashes = {name: sha256(raw) for name, raw in sorted(PUBLISHED.items())}
    return "\n".join(
        (
            *(assignment(name, words) for name, words in shapes().items()),
            *(table(name, of) for name, of in events().items()),
            table("SCHEMAS", hashes),
            assignment("PURPOSES", " ".join(KeyPurpose), "frozenset({}.split())"),
            assignment("CAUSES", " ".join(sorted(CAUSES)), "frozenset({}.split())"),
            assignment("OVERRIDES", " ".join(OverrideReason), "frozenset({}.split())"),
            assignment("ESCALATING", " ".join(sorted(ESCALATING)), "frozenset({}.split())"),
            assignment("REASONS", " ".join(codes), "frozenset({}.split())"),
            "",
        )
    )


def shapes() -> dict[str, str]:
    """Return the shape of every record that stands in a pack."""
    drawn = {name: shape(members_of(record_class)) for name, record_class in RECORDS.items()}
    return drawn | {name: shape(members) for name, members in SHAPES.items()}


def events() -> dict[str, dict[str, str]]:
    """Return the shape of every event, of the log and of a session."""
    told = {"OF_LOG": payloads.EVENTS_OF_LOG, "OF_SESSION": payloads.EVENTS_OF_SESSION}
    return {name: {kind: shape(members) for kind, members in of.items()} for name, of in told.items()}


def members_of(record_class: type[Any]) -> dict[str, type]:
    """Return the members of a record class as JSON has them."""
    return {name: MADE_OF.get(get_origin(kind), kind) for name, kind in kinds_of(record_class).items()}


def shape(members: Mapping[str, type]) -> str:
    """Return members and their types as the script reads them."""
    return " ".join(f"{name}:{LETTERS[kind]}" for name, kind in sorted(members.items()))


def assignment(name: str, words: str, around: str = "{}") -> str:
    """Return one name and the text it stands for, in lines that fit."""
    return f"{name} = {around.format(wrapped(words))}"


def wrapped(words: str) -> str:
    """Return a Python text of these words, which nobody minds being broken into lines."""
    lines = textwrap.wrap(words, width=96, break_long_words=False, break_on_hyphens=False)
    return f'"{words}"' if len(words) < 108 else '"""' + "\n ".join(lines) + '"""'


def table(name: str, rows: Mapping[str, str]) -> str:
    """Return one name and the dictionary it stands for."""
    return "\n".join((f"{name} = {{", *(f'    "{key}": {wrapped(value)},' for key, value in rows.items()), "}"))


def written() -> Iterable[tuple[Path, str]]:
    """Yield every file that is drawn from the contracts, and what it must hold."""
    newest = script()
    yield from schema_files().items()
    yield SCRIPT, newest
    yield KNOWN, known(newest)
    yield console_tables.TABLES, console_tables.text(shapes(), events(), newest)
    yield from surface_files.written().items()
    yield from client_files.files().items()


def main() -> None:
    """Write every file that differs, and take away schemas of contracts that are no more."""
    for path, text in written():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    for path in set(SCHEMAS.glob("*.json")) - schema_files().keys():
        path.unlink()
        print(f"removed {path.relative_to(ROOT)}")


if __name__ == "__main__":
    from conformance import documents  # which draws from the program, and the program from these

    main()
    documents.main()
