"""Rows on which evidence is put into the envelopes of others, and read again."""

from __future__ import annotations

from typing import Any, Final

from helm.evidence.envelopes.examine import Proved, State
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.schemas import OF_ENVELOPES
from helm.surfaces.objects import RECEIPT_ID
from helm.surfaces.route import Access
from helm.surfaces.rows.row import API, asked, get, limit, post
from helm.surfaces.words import FLAG, OBJECT, TEXT, WHOLE, WORDS, Schema, closed, listed, maybe, one_of, shaped

ENVELOPES: Final = f"{API}/evidence/envelopes"


def contract(number: int) -> Schema:
    """Return a published contract's schema, without the head that makes it a document of its own."""
    body: dict[str, Any] = OF_ENVELOPES[number]
    return {name: said for name, said in body.items() if not name.startswith("$")}


MANIFEST: Final = contract(0)
STATEMENT: Final = contract(1)

WRAPPED: Final = (
    get(
        "list_envelopes",
        ENVELOPES,
        Access.ANY,
        "The manifests of the envelopes that the caller may read.",
        closed({"envelopes": listed(MANIFEST), "next": maybe(TEXT)}),
        parameters=asked(after=(TEXT, "Those behind this envelope."), limit=limit(100)),
        refusals=(409,),
    ),
    post(
        "create_envelope",
        ENVELOPES,
        Access.ADMIN,
        "Sign an envelope around a receipt or checkpoint of this log, and keep it.",
        shaped({"envelope": one_of(*EnvelopeKind)}, checkpoint=WORDS, experimental=FLAG, receipt_id=RECEIPT_ID),
        MANIFEST,
        status=201,
        refusals=(404, 409, 422),
    ),
    get(
        "get_envelope",
        f"{ENVELOPES}/{{envelope_id}}",
        Access.ANY,
        "One envelope, in base64, and its manifest.",
        closed({"envelope": TEXT, "manifest": MANIFEST, "media_type": TEXT}),
        refusals=(409,),
    ),
    get(
        "get_envelope_payload",
        f"{ENVELOPES}/{{envelope_id}}/payload",
        Access.ANY,
        "What an envelope carries, byte for byte as it was signed.",
        OBJECT,
        refusals=(409,),
    ),
    post(
        "verify_envelope",
        f"{ENVELOPES}/{{envelope_id}}/verify",
        Access.ANY,
        "Verify an envelope by this log's keys, against the receipt or checkpoint of this log that it names.",
        closed({}),
        closed(
            {
                "authoritative": {"const": False},
                "checks": listed(
                    closed({"detail": TEXT, "name": TEXT, "number": WHOLE, "promise": TEXT, "state": one_of(*State)})
                ),
                "envelope": TEXT,
                "proved": one_of(*Proved),
                "statement": maybe(STATEMENT),
                "verified": FLAG,
            }
        ),
        refusals=(409,),
    ),
)
