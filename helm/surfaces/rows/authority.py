"""Rows on which authority is asked for, given by a signature, and taken back: approvals, delegations, policy, keys."""

from __future__ import annotations

from typing import Any, Final

from helm.contracts.approval import Action, Assertion, Challenge
from helm.guardian.ceremony import APPROVED, CONSUMED, DENIED, DISPUTED, EXPIRED, PENDING, REVOKED
from helm.guardian.delegation import DelegationGrant, DelegationRevocation
from helm.guardian.freezes import ACTIONS, SCOPES, FreezeCommand
from helm.guardian.overlays import OverlayCommand
from helm.guardian.precedence import RaiseCancel
from helm.guardian.relations import RelationsCommand
from helm.surfaces.route import Access, Answer, Route
from helm.surfaces.rows.calls import CALL, GOVERNED, MAYBE_GOVERNED, governed
from helm.surfaces.rows.row import API, SEQ, asked, before, get, limit, post
from helm.surfaces.words import (
    DIGEST,
    OBJECT,
    SIGNED,
    TEXT,
    WHOLE,
    WORDS,
    Schema,
    closed,
    drawn,
    listed,
    maybe,
    one_of,
    ref,
    shaped,
)

APPROVALS: Final = f"{API}/approvals"
DELEGATIONS: Final = f"{API}/delegations"
POLICY: Final = f"{API}/policy"
AUTHZ: Final = f"{API}/authz"
TRUST: Final = f"{API}/trust"

STATES: Final = (PENDING, APPROVED, DENIED, EXPIRED, REVOKED, CONSUMED, DISPUTED)

ASKED: Final[Schema] = {
    **CALL,
    "properties": {name: schema for name, schema in CALL["properties"].items() if name != "approval_id"},
    "required": ["tool"],
}


def signed(command: type[Any], **members: Schema) -> Schema:
    """Return the body that carries a signed command of this class."""
    return closed({"command": closed(drawn(command) | members), "signature": SIGNED})


def said(action: str, about: str) -> Route:
    """Return the row on which an approver says this of an approval."""
    body = shaped({"assertion": closed(drawn(Assertion)), "signature": SIGNED}, ceremony_hash=DIGEST)
    path, name = f"{APPROVALS}/{{approval_id}}/{action}", f"{action}_approval"
    return post(name, path, Access.APPROVER, about, body, ref("ApprovalCeremony"), refusals=(409, 428))


ASKING: Final = (
    get(
        "list_approvals",
        APPROVALS,
        Access.ANY,
        "Which calls wait for a human, and which waited.",
        closed({"approvals": listed(ref("ApprovalCeremony"))}),
        parameters=asked(state=(one_of(*STATES), "Only those in this state.")),
    ),
    Route(
        name="create_approval",
        method="POST",
        path=APPROVALS,
        access=Access.TENANT,
        about="Ask in advance that a call be approved: it is judged, and never executed.",
        answers={
            200: governed("It needs no approval.", 200),
            201: Answer(
                about="The approval that it waits for.",
                schema=ref("ApprovalShown"),
                headers=(*GOVERNED, *MAYBE_GOVERNED),
            ),
            **{status: governed("Refused, with its receipt.", status) for status in (403, 409, 429, 503)},
        },
        body=ASKED,
    ),
    get("get_approval", f"{APPROVALS}/{{approval_id}}", Access.ANY, "One approval.", ref("ApprovalShown")),
    post(
        "challenge_approval",
        f"{APPROVALS}/{{approval_id}}/challenge",
        Access.ANY,
        "Put a challenge to an approver's key.",
        shaped({"key_id": WORDS}, action=one_of(*Action)),
        closed(
            {
                "approval": ref("ApprovalShown"),
                "challenge": closed(drawn(Challenge)),
                "phrase": TEXT,
                "signature": SIGNED,
            }
        ),
    ),
    said("approve", "Take an approver's yes."),
    said("deny", "Take an approver's no."),
    said("revoke", "Take back what was not used yet."),
    said("dispute", "Hold it back until its approvers have agreed anew."),
    said("override", "Take an emergency key's yes; it owes a review."),
    said("review", "Take an approver's review of an override."),
)

DELEGATING: Final = (
    get(
        "list_delegations",
        DELEGATIONS,
        Access.ANY,
        "The delegations, and the log that a new one must name.",
        closed({"delegations": listed(ref("Delegation")), "log_id": DIGEST}),
    ),
    post(
        "create_delegation",
        DELEGATIONS,
        Access.ANY,
        "Bind a delegation that its delegator has signed.",
        closed({"grant": closed(drawn(DelegationGrant)), "signature": SIGNED}),
        ref("Delegation"),
        status=201,
    ),
    get("get_delegation", f"{DELEGATIONS}/{{name}}", Access.ANY, "One delegation.", ref("Delegation")),
    post(
        "revoke_delegation",
        f"{DELEGATIONS}/{{name}}/revoke",
        Access.ANY,
        "End a delegation, as its delegator or the emergency key signed.",
        signed(DelegationRevocation),
        ref("Delegation"),
        refusals=(409,),
    ),
)

SIGNED_OVERLAY: Final = closed({"command": closed(drawn(OverlayCommand)), "document": OBJECT, "signature": SIGNED})

LAYERS: Final = (
    get(
        "list_budgets",
        f"{API}/budgets",
        Access.ADMIN,
        "What every budget allows, and what is used of it.",
        closed({"budgets": listed(ref("BudgetCeiling"))}),
    ),
    Route(
        name="set_budget",
        method="PUT",
        path=f"{API}/budgets/{{name}}",
        access=Access.ADMIN,
        about="Lower or add one budget by a signed overlay.",
        answers={200: Answer(about="The budget as it is now.", schema=ref("BudgetCeiling"))},
        body=SIGNED_OVERLAY,
        refusals=(409,),
    ),
    get(
        "get_policy",
        POLICY,
        Access.ADMIN,
        "The ceilings in force, a raise that waits, and every overlay.",
        ref("PolicyLayers"),
    ),
    post(
        "add_overlay",
        f"{POLICY}/overlays",
        Access.ADMIN,
        "Put a signed overlay in force.",
        SIGNED_OVERLAY,
        ref("PolicyLayers"),
        status=201,
        refusals=(409,),
    ),
    post(
        "remove_overlay",
        f"{POLICY}/overlays/{{name}}/remove",
        Access.ADMIN,
        "Take an overlay out of force.",
        signed(OverlayCommand),
        ref("PolicyLayers"),
        refusals=(409,),
    ),
    post(
        "cancel_raise",
        f"{POLICY}/p0/cancel",
        Access.ADMIN,
        "Give up the raise of ceilings that waits.",
        signed(RaiseCancel),
        ref("PolicyLayers"),
        refusals=(409,),
    ),
)

RELATIONS: Final = (
    get("authz_health", f"{AUTHZ}/health", Access.ADMIN, "How the relationships stand.", ref("AuthzHealth")),
    get(
        "authz_check",
        f"{AUTHZ}/check",
        Access.ADMIN,
        "What the relationships say of one.",
        ref("AuthzAnswer"),
        parameters=asked(tuple=(TEXT, "Such as document:7#viewer@user:alice.")),
    ),
    get(
        "list_authz_snapshots",
        f"{AUTHZ}/snapshots",
        Access.ADMIN,
        "What they said when calls were decided, the latest page.",
        closed({"before": maybe(WHOLE), "snapshots": listed(ref("AuthzSnapshot"))}),
        parameters=asked(
            before=before("entry"),
            limit=limit(200),
            object=(TEXT, "Only those about this object."),
            subject=(TEXT, "Only those about this subject."),
        ),
    ),
    get(
        "get_authz_snapshot",
        f"{AUTHZ}/snapshots/{{name}}",
        Access.ADMIN,
        "One, by its id or its hash.",
        ref("AuthzSnapshot"),
    ),
    post(
        "write_authz_tuples",
        f"{AUTHZ}/tuples",
        Access.ADMIN,
        "Obey a signed change of relationships.",
        signed(RelationsCommand),
        ref("AuthzHealth"),
        refusals=(409,),
    ),
)

KEYS: Final = (
    get(
        "list_trust_events",
        f"{TRUST}/events",
        Access.ADMIN,
        "The signed events that say which keys count.",
        closed(
            {
                "events": listed(closed({"event": ref("TrustEvent"), "lamport": WHOLE})),
                "log_id": DIGEST,
                "next": maybe(WHOLE),
            }
        ),
        parameters=asked(
            after=(SEQ, "Those behind this height."), at_lamport=(SEQ, "As of this tick."), limit=limit(200)
        ),
        refusals=(404,),
    ),
    post(
        "add_trust_event",
        f"{TRUST}/events",
        Access.ADMIN,
        "Take an event that a trust-admin key signed.",
        closed({"event": OBJECT}),
        closed({"event_hash": DIGEST, "height": WHOLE, "lamport": WHOLE}),
        status=201,
        refusals=(409,),
    ),
    get(
        "list_trust_keys",
        f"{TRUST}/keys",
        Access.ADMIN,
        "Every key ever known, and what became of it.",
        closed({"keys": listed(ref("TrustKey")), "lamport": WHOLE, "log_id": DIGEST}),
        parameters=asked(at_lamport=(SEQ, "As of this tick.")),
        refusals=(404,),
    ),
    get(
        "get_trust_snapshot",
        f"{TRUST}/snapshot",
        Access.ADMIN,
        "The registry as the fold of its events.",
        ref("TrustSnapshot"),
        parameters=asked(at_lamport=(SEQ, "As of this tick.")),
        refusals=(404,),
    ),
)

STOPPING: Final = (
    get(
        "get_freeze",
        f"{API}/freeze",
        Access.ANY,
        "The stops in force, and the sequence that the next command follows.",
        ref("Stops"),
    ),
    post(
        "freeze",
        f"{API}/freeze",
        Access.ADMIN,
        "Obey a command that the emergency key signed.",
        signed(FreezeCommand, action=one_of(*ACTIONS), scope=one_of(*SCOPES)),
        ref("Stops"),
        refusals=(409,),
    ),
)
