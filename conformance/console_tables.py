"""The tables of the verifier in the browser, drawn from what the verifier here goes by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from helm.contracts.approval import OverrideReason
from helm.contracts.reason import ESCALATING, ReasonCode
from helm.crypto.domains import KeyPurpose
from helm.crypto.hashing import sha256
from helm.evidence.schemas import PUBLISHED
from helm.evidence.scripts import EARLIER
from helm.evidence.verify import CHECKS, promise_of
from helm.proofgraph.checkpoint import CAUSES

TABLES: Final = Path(__file__).resolve().parent.parent / "actors" / "console" / "pack-tables.js"
HEAD: Final = "// Tables, drawn from the contracts and from `helm verify`, by `python -m conformance.schemas`.\n"


def text(records: Mapping[str, str], events: Mapping[str, Mapping[str, str]], newest: str) -> str:
    """Return the file, of the shapes of records and events, and of the newest replay script."""
    shapes = {name: json.dumps(words) for name, words in records.items()}
    checks = [[name, promise_of(check)] for name, check in CHECKS]
    tables = {
        **{name: lines("{}", [f'"{kind}": "{of}"' for kind, of in told.items()]) for name, told in events.items()},
        "SCHEMAS": lines("{}", [f'"{name}": "{sha256(raw)}"' for name, raw in sorted(PUBLISHED.items())]),
        "SCRIPTS": lines("[]", [f'"{one}"' for one in sorted(EARLIER | {sha256(newest.encode())})]),
        "PURPOSES": names(KeyPurpose),
        "CAUSES": names(sorted(CAUSES)),
        "OVERRIDES": names(OverrideReason),
        "ESCALATING": names(sorted(ESCALATING)),
        "REASONS": names(sorted(code.value for code in ReasonCode if code)),
        "CHECKS": lines("[]", [json.dumps(check, ensure_ascii=False) for check in checks]),
    }
    return HEAD + "".join(f"\nexport const {name} = {value};\n" for name, value in (shapes | tables).items())


def names(words: Iterable[str]) -> str:
    """Return a set of words."""
    return f'new Set("{" ".join(words)}".split(" "))'


def lines(brackets: str, items: Iterable[str]) -> str:
    """Return a list or an object, an item a line."""
    return "\n".join((brackets[0], *(f"  {item}," for item in items), brackets[1]))
