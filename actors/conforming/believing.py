"""Which of an installation's kept reports hold, and which level it may therefore name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import helm
from actors.conforming.material import vector_set
from actors.conforming.reports import Reports
from helm.conformance.report import NO_LEVEL, check_report
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey
from helm.trust.registry import Registry

MAX_LOOKED_AT: Final = 8
"""Kept reports that are read for one question, which anybody with a key may ask (T4)."""


def key_of(document: Any, registry: Registry | None, lamport: int) -> PublicKey:
    """Return the evidence key of this log that a report names. Raises Invalid for any other."""
    try:
        key_id = document["report"]["key_id"]
    except (KeyError, TypeError) as problem:
        raise Invalid("is no signed report", "report") from problem
    if registry is None:
        raise Invalid("no key of this log is known", "report")
    return registry.require(str(key_id), KeyPurpose.EVIDENCE, lamport)


def doubt_of(document: Any, registry: Registry | None, lamport: int) -> str:
    """Return why a kept report is not believed now, "" where it is."""
    try:
        check_report(document, key_of(document, registry, lamport), vector_set())
    except Invalid as problem:
        return f"{problem.where}: {problem.what}"
    except (KeyError, TypeError, ValueError) as problem:
        return f"it does not read: {problem}"
    return ""


def shown(document: dict[str, Any], doubt: str) -> dict[str, JSONValue]:
    """Return a kept report in one row."""
    report = document["report"]
    said = {name: report[name] for name in ("ended_at_ms", "level", "report_id", "summary", "vectors_hash")}
    return said | {"believed": not doubt, "doubt": doubt}


def level_held(data_dir: Path, registry: Registry | None, lamport: int) -> str:
    """Return the level that the latest report reached which holds, and is about this very program; "none" without."""
    reports = Reports(data_dir)
    for file in reports.files()[:MAX_LOOKED_AT]:
        try:
            document = reports.get(file.stem)
        except Invalid:  # whoever lists the reports is told of it; it names no level
            continue
        if document and not doubt_of(document, registry, lamport) and is_of_this_program(document["report"]):
            return str(document["report"]["level"])
    return NO_LEVEL


def is_of_this_program(report: dict[str, Any]) -> bool:
    """Tell whether every server of a report ran this version, in a run of its own."""
    return bool(report["subjects"]) and all(
        one["is_own"] and one["program"] == helm.__version__ for one in report["subjects"].values()
    )
