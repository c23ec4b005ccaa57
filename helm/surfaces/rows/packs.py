"""Rows on which evidence packs are verified, judged again, and made."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import attrs

from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.surfaces.route import PROBLEM, TAR, Access, Answer, Door, Route
from helm.surfaces.rows.row import API, SEQ, asked
from helm.surfaces.words import (
    ANYTHING,
    DIGEST,
    FLAG,
    TEXT,
    WHOLE,
    WORDS,
    closed,
    listed,
    maybe,
    one_of,
    pattern,
    ref,
    shaped,
)

PUBLIC_KEY: Final = pattern("^[0-9a-f]{64}$")

PINS: Final = asked(
    log_id=(DIGEST, "The log that you were told of."),
    genesis_key=(PUBLIC_KEY, "The public key of the log's first event."),
    execution_key=(PUBLIC_KEY, "The only public key that may have signed receipts."),
    checkpoint=(DIGEST, "The hash of a checkpoint that the pack must hold."),
)
"""What whoever asks trusts: one of them or more, and never anything that is read in the pack."""

CHECK: Final = closed({"detail": TEXT, "name": WORDS, "number": WHOLE, "ok": FLAG, "promise": TEXT})

VERIFIED: Final = closed(
    {
        "authenticated": FLAG,
        "checks": listed(CHECK),
        "subject": closed(
            {
                "condensed": WHOLE,
                "lamport": WHOLE,
                "log_id": TEXT,
                "open_intents": WHOLE,
                "receipts": WHOLE,
                "redacted": WHOLE,
                "scope": TEXT,
                "session_id": TEXT,
                "sessions": WHOLE,
                "tenant": TEXT,
            }
        ),
    }
)

FAILED: Final = closed({"detail": TEXT, "name": WORDS, "number": WHOLE})

REPLAYED: Final = closed(
    {
        "authenticated": FLAG,
        "divergence": maybe(
            closed({"decision_id": WORDS, "lamport": WHOLE, "member": WORDS, "now": ANYTHING, "was": ANYTHING})
        ),
        "failed_check": maybe(FAILED),
        "judged": WHOLE,
        "problem": maybe(TEXT),
        "redacted": WHOLE,
        "verified": FLAG,
    }
)

WANTED: Final = asked(
    session_id=(WORDS, "The session that the pack is about."),
    tenant=(WORDS, "Whose session, or whose sessions of a range of time."),
    from_ms=(SEQ, "Every session that had a call from this moment on."),
    until_ms=(SEQ, "Every session that had a call before this moment."),
    whole=(one_of("true", "false"), "The whole log."),
    through=(SEQ, "Reach up to the checkpoint of this number at least."),
    redact_facts=(one_of("true", "false"), "Leave out arguments and other facts; their hashes stay."),
)

MADE: Final = MappingProxyType({200: Answer(about="The pack.", schema=ANYTHING, media_type=TAR)})

WRAPPED: Final = MappingProxyType({200: attrs.evolve(MADE[200], headers=("x-helm-envelope-id",))})


def read(name: str, path: str, about: str, answer: dict[str, object]) -> Route:
    """Return a row to which anybody brings a pack."""
    told = {
        200: Answer(about="Everything holds.", schema=answer),
        422: Answer(about="Something does not: the report says what.", schema=ref("Problem"), media_type=PROBLEM),
    }
    return Route(
        name=name,
        method="POST",
        path=path,
        access=Access.PUBLIC,
        about=about,
        answers=MappingProxyType(told),
        parameters=PINS,
        body=ANYTHING,
        body_type=TAR,
        refusals=(405,),
        door=Door.PACKS,
    )


PACKS: Final = (
    read("verify_pack", f"{API}/evidence/verify", "Verify an evidence pack.", VERIFIED),
    read("replay_pack", f"{API}/replay/verify", "Verify an evidence pack, and judge its calls again.", REPLAYED),
    Route(
        name="export_pack",
        method="GET",
        path=f"{API}/evidence/export",
        access=Access.ANY,
        about="Make an evidence pack.",
        answers=MADE,
        parameters=WANTED,
        refusals=(404, 422),
    ),
    Route(
        name="make_pack",
        method="POST",
        path=f"{API}/evidence/export",
        access=Access.ANY,
        about="Make an evidence pack, likewise, and have an envelope signed around it.",
        answers=WRAPPED,
        body=shaped(
            {},
            envelope=one_of(*EnvelopeKind),
            experimental=FLAG,
            from_ms=SEQ,
            redact_facts=FLAG,
            session_id=WORDS,
            tenant=WORDS,
            through=SEQ,
            until_ms=SEQ,
            whole=FLAG,
        ),
        refusals=(404, 422),
    ),
)
