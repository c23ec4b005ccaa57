"""Rows on which the conformance vectors are published, run, and reported on."""

from __future__ import annotations

from typing import Final

from helm.conformance.report import NO_LEVEL
from helm.conformance.vector import LEVELS
from helm.surfaces.route import Access, Route
from helm.surfaces.rows.row import API, asked, get, post
from helm.surfaces.words import (
    CODE,
    DIGEST,
    FLAG,
    OBJECT,
    SIGNED,
    TEXT,
    WHOLE,
    WORDS,
    closed,
    listed,
    one_of,
    pattern,
    shaped,
)

CONFORMANCE: Final = f"{API}/conformance"

LEVEL: Final = one_of(*LEVELS)
REACHED: Final = one_of(*LEVELS, NO_LEVEL)
REPORT_ID: Final = pattern("^conf_[0-9a-f]{32}$")

MAX_CATEGORIES: Final = 64

VECTORS: Final = closed({"vectors": listed(OBJECT), "vectors_hash": DIGEST})

SUMMARY: Final = closed({"failed": WHOLE, "passed": WHOLE, "skipped": WHOLE, "unobserved": WHOLE})

DOCUMENT: Final = closed(
    {
        "public_key": pattern("^[0-9a-f]{64}$"),
        "report": closed(
            {
                "begun_at_ms": WHOLE,
                "ended_at_ms": WHOLE,
                "key_id": WORDS,
                "level": REACHED,
                "report_id": REPORT_ID,
                "results": listed(OBJECT),
                "strays": WHOLE,
                "subjects": OBJECT,
                "summary": SUMMARY,
                "vectors_hash": DIGEST,
                "version": WORDS,
            }
        ),
        "signature": SIGNED,
    }
)

SHOWN: Final = closed(
    {
        "believed": FLAG,
        "doubt": TEXT,
        "ended_at_ms": WHOLE,
        "level": REACHED,
        "report_id": REPORT_ID,
        "summary": SUMMARY,
        "vectors_hash": DIGEST,
    }
)

OF_CONFORMANCE: Final[tuple[Route, ...]] = (
    get(
        "list_negative_vectors",
        f"{CONFORMANCE}/negative",
        Access.PUBLIC,
        "The vectors of the ten fail-closed cases.",
        VECTORS,
    ),
    get(
        "list_vectors",
        f"{CONFORMANCE}/vectors",
        Access.PUBLIC,
        "Every vector: what is done to a server, and what must come of it.",
        VECTORS,
        parameters=asked(
            category=(TEXT, "Only those of this category."),
            code=(CODE, "Only those that this reason code answers."),
            level=(LEVEL, "Only those of this level, and of those below it."),
        ),
    ),
    post(
        "run_conformance",
        f"{CONFORMANCE}/run",
        Access.ADMIN,
        "Do to servers of this program's own what the vectors say; the running kernel is not touched.",
        shaped({}, categories={"type": "array", "items": WORDS, "maxItems": MAX_CATEGORIES}, level=LEVEL),
        DOCUMENT,
        status=201,
        refusals=(422,),
    ),
    get(
        "list_reports",
        f"{CONFORMANCE}/reports",
        Access.ADMIN,
        "The reports that are kept, the latest first, and which of them hold.",
        closed({"reports": listed(SHOWN)}),
    ),
    get(
        "get_report",
        f"{CONFORMANCE}/reports/{{report_id}}",
        Access.ADMIN,
        "One signed report.",
        DOCUMENT,
    ),
)
