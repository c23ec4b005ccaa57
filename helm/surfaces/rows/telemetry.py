"""Rows for programs beside HELM: how it is told, what it has told, and what is its own. None of it is evidence."""

from __future__ import annotations

from typing import Final

from helm.surfaces.coexistence import VERSION
from helm.surfaces.route import Access
from helm.surfaces.rows.row import API, SEQ, get, post
from helm.surfaces.words import FLAG, MAYBE_DIGEST, OBJECT, TEXT, WHOLE, WORDS, closed, listed, one_of, shaped, whole

TELEMETRY: Final = f"{API}/telemetry"
COEXISTENCE: Final = f"{API}/coexistence"

MAX_EXPORTED: Final = 500
"""Receipts in one export: half a megabyte of OTLP/JSON (T4)."""

FALSE: Final = {"const": False, "type": "boolean"}

SCOPE: Final = closed(
    {
        "authority": WORDS,
        "capability_id": WORDS,
        "category": WORDS,
        "cli_commands": listed(TEXT),
        "public_routes": listed(TEXT),
        "receipt_bindings": listed(TEXT),
    }
)

BESIDE: Final = (
    get(
        "otel_config",
        f"{TELEMETRY}/otel/config",
        Access.ADMIN,
        "A configuration for an OpenTelemetry Collector that fits the running settings.",
        closed(
            {
                "attributes": listed(WORDS),
                "authoritative": FALSE,
                "collector": OBJECT,
                "environment": OBJECT,
                "is_on": FLAG,
                "notice": TEXT,
                "spans": listed(WORDS),
            }
        ),
    ),
    post(
        "export_telemetry",
        f"{TELEMETRY}/export",
        Access.ANY,
        "Receipts as log records in OTLP/JSON, oldest first.",
        shaped({}, after=SEQ, limit=whole(MAX_EXPORTED, 1), session_id=WORDS, tenant=WORDS),
        closed(
            {
                "after": WHOLE,
                "authoritative": FALSE,
                "is_complete": FLAG,
                "notice": TEXT,
                "otlp": OBJECT,
                "receipts": WHOLE,
            }
        ),
    ),
    get(
        "list_coexistence",
        f"{COEXISTENCE}/capabilities",
        Access.ANY,
        "What HELM owns beside other programs, and what it does not.",
        closed(
            {
                "authorities": listed(closed({"authority": WORDS, "means": TEXT})),
                "does_not_own": listed(
                    closed(
                        {
                            "borders": listed(WORDS),
                            "kind": WORDS,
                            "owned_by_it": TEXT,
                            "word": one_of("input", "narrowing", "none"),
                        }
                    )
                ),
                "manifest": one_of(VERSION),
                "mode": one_of("kernel", "standalone"),
                "owns": listed(SCOPE),
                "roots": closed(
                    {
                        "last_checkpoint_hash": MAYBE_DIGEST,
                        "log_id": WORDS,
                        "policy_epoch": WHOLE,
                        "policy_hash": MAYBE_DIGEST,
                        "receipt_signer": TEXT,
                        "receipt_store": WORDS,
                    }
                ),
                "tells": listed(SCOPE),
                "updated_at": TEXT,
                "version": WORDS,
            }
        ),
    ),
)
