"""Rows on which an operator issues bearer keys, sees them, and takes them back."""

from __future__ import annotations

from typing import Final

from helm.guardian.bearers import MAX_LABEL, MAX_REASON, KeyClass, KeyScope, KeyState
from helm.surfaces.route import Access
from helm.surfaces.rows.row import API, asked, get, post
from helm.surfaces.words import FLAG, TEXT, WORDS, closed, listed, one_of, ref, shaped, whole

KEYS: Final = f"{API}/keys"

MAX_LIFE_S: Final = 10 * 365 * 86_400
"""Longest time that can be named for a key; without one it counts until it is taken back."""

BEARERS: Final = (
    get(
        "list_keys",
        KEYS,
        Access.ADMIN,
        "The bearer keys, without a hash of any.",
        closed({"is_complete": FLAG, "keys": listed(ref("BearerKey"))}),
        parameters=asked(
            principal=(TEXT, "Only this principal's."),
            state=(one_of(*KeyState), "Only those in this state."),
            tenant=(TEXT, "Only this tenant's."),
        ),
    ),
    post(
        "issue_key",
        KEYS,
        Access.ADMIN,
        "Issue a bearer key: it is told here, and never again.",
        shaped(
            {"class": one_of(*KeyClass), "principal": WORDS},
            expires_in_s=whole(MAX_LIFE_S, 1),
            label={"type": "string", "maxLength": MAX_LABEL},
            scope=one_of(*KeyScope),
            tenant=TEXT,
        ),
        closed({"bearer_key": ref("BearerKey"), "key": WORDS}),
        status=201,
    ),
    get("get_key", f"{KEYS}/{{key_id}}", Access.ADMIN, "One bearer key.", ref("BearerKey")),
    post(
        "revoke_key",
        f"{KEYS}/{{key_id}}/revoke",
        Access.ADMIN,
        "Take a bearer key back for ever, and end what it opened.",
        closed({"reason": {"type": "string", "minLength": 1, "maxLength": MAX_REASON}}),
        ref("BearerKey"),
        refusals=(409,),
    ),
)
