"""Rows on which one reads what is sealed: receipts, boundary records, checkpoints and proofs."""

from __future__ import annotations

from typing import Final

from helm.surfaces.objects import CHECK
from helm.surfaces.route import EVENTS, Access, Answer, Route
from helm.surfaces.route import TEXT as PLAIN
from helm.surfaces.rows.row import API, OF_RECEIPTS, SEQ, after, asked, before, get, headers, limit, post
from helm.surfaces.words import DIGEST, FLAG, MAYBE_DIGEST, TEXT, VERDICT, WHOLE, WORDS, closed, listed, maybe, ref

RECEIPTS: Final = f"{API}/receipts"
BOUNDARY: Final = f"{API}/boundary"
CHECKPOINTS: Final = f"{BOUNDARY}/checkpoints"

SESSIONS: Final = closed({"next": maybe(WHOLE), "sessions": listed(ref("Session"))})

SEALED: Final = (
    get(
        "list_receipts",
        RECEIPTS,
        Access.ANY,
        "A page of receipts, oldest first.",
        closed({"after": WHOLE, "before": maybe(WHOLE), "receipts": listed(ref("Receipt"))}),
        parameters=asked(after=after("entry"), before=before("entry"), limit=limit(200), **OF_RECEIPTS),
    ),
    Route(
        name="tail_receipts",
        method="GET",
        path=f"{RECEIPTS}/tail",
        access=Access.ANY,
        about="Receipts as they become durable, as server-sent events.",
        answers={200: Answer(about="One event per receipt.", schema=TEXT, media_type=EVENTS)},
        parameters=(*asked(after=after("entry"), **OF_RECEIPTS), *headers(("last-event-id",))),
    ),
    get("get_receipt", f"{RECEIPTS}/{{receipt_id}}", Access.ANY, "One receipt with its story.", ref("Story")),
    get("boundary_status", f"{BOUNDARY}/status", Access.ANY, "How the boundary stands.", ref("BoundaryStatus")),
    get(
        "list_capabilities",
        f"{BOUNDARY}/capabilities",
        Access.ANY,
        "What the boundary does, and where it is asked for.",
        closed({"capabilities": listed(ref("BoundaryCapability"))}),
    ),
    get(
        "list_records",
        f"{BOUNDARY}/records",
        Access.ANY,
        "A page of boundary records, oldest first.",
        closed({"after": WHOLE, "before": maybe(WHOLE), "records": listed(ref("BoundaryRecord"))}),
        parameters=asked(
            after=after("entry"),
            before=before("entry"),
            limit=limit(200),
            mcp_server_id=(TEXT, "Only those about this MCP server."),
            policy_epoch=(SEQ, "Only those under this epoch of the policy."),
            reason_code=(TEXT, "Only those that were refused for this reason."),
            receipt_id=(TEXT, "Only the one that this receipt seals."),
            tool_name=(TEXT, "Only those about this tool."),
            verdict=(VERDICT, "Only those with this verdict."),
        ),
    ),
    post(
        "verify_record",
        f"{BOUNDARY}/records/{{record_id}}/verify",
        Access.ANY,
        "Check a record against its decision, its receipt, and the checkpoint above it.",
        closed({}),
        ref("RecordVerification"),
    ),
    get(
        "list_sessions",
        f"{API}/sessions",
        Access.ANY,
        "The sessions, in the order in which they were opened.",
        SESSIONS,
        parameters=asked(after=after("place"), limit=limit(200)),
    ),
    get(
        "list_graph_sessions",
        f"{API}/proofgraph/sessions",
        Access.ANY,
        "The sessions of the ProofGraph: those above.",
        SESSIONS,
        parameters=asked(after=after("place"), limit=limit(200)),
    ),
    get(
        "get_graph_session",
        f"{API}/proofgraph/sessions/{{session_id}}",
        Access.ANY,
        "A session, and its receipts in order, each with its node.",
        closed(
            {
                "chain": listed(
                    closed({"intent_node": MAYBE_DIGEST, "node": ref("GraphNode"), "receipt": ref("Receipt")})
                ),
                "next": maybe(WHOLE),
                "session": ref("Session"),
            }
        ),
        parameters=asked(after=after("tick"), limit=limit(200), tenant=(TEXT, "Whose: for an operator's key.")),
    ),
    get(
        "get_record",
        f"{API}/boundary/records/{{record_id}}",
        Access.ANY,
        "One boundary record.",
        ref("BoundaryRecord"),
    ),
    get(
        "prove_inclusion",
        f"{API}/boundary/proofs/{{wanted}}",
        Access.ANY,
        "A receipt or boundary record, by id, with the proof that it lies under a checkpoint.",
        ref("Inclusion"),
        refusals=(422,),
    ),
    get(
        "list_checkpoints",
        CHECKPOINTS,
        Access.ANY,
        "The checkpoints, oldest first.",
        closed({"checkpoints": listed(ref("CheckpointShown")), "next": maybe(WHOLE)}),
        parameters=asked(after=after("number"), limit=limit(100)),
    ),
    post(
        "take_checkpoint",
        CHECKPOINTS,
        Access.ADMIN,
        "Take a checkpoint of everything so far.",
        closed({}),
        ref("CheckpointShown"),
        status=201,
    ),
    get("get_checkpoint", f"{CHECKPOINTS}/{{name}}", Access.ANY, "One checkpoint.", ref("CheckpointShown")),
    Route(
        name="get_checkpoint_note",
        method="GET",
        path=f"{CHECKPOINTS}/{{name}}/note",
        access=Access.ANY,
        about="A checkpoint's signed note (c2sp.org/tlog-checkpoint).",
        answers={200: Answer(about="The note.", schema=TEXT, media_type=PLAIN)},
    ),
    get(
        "prove_consistency",
        f"{CHECKPOINTS}/{{name}}/consistency",
        Access.ANY,
        "The proof that a checkpoint's trees begin with those of an earlier one.",
        closed(
            {
                "from": ref("SignedCheckpoint"),
                "receipts": listed(TEXT),
                "records": listed(TEXT),
                "to": ref("SignedCheckpoint"),
                "version": TEXT,
            }
        ),
        parameters=asked(since=(SEQ, "The number of the earlier one; without it, the one before.")),
        refusals=(422,),
    ),
    post(
        "verify_checkpoint",
        f"{CHECKPOINTS}/{{name}}/verify",
        Access.ANY,
        "Check a checkpoint against the one before it, and the rows between.",
        closed({}),
        closed({"checkpoint_hash": DIGEST, "checkpoint_id": WORDS, "checks": listed(CHECK), "verified": FLAG}),
    ),
    post(
        "cosign_checkpoint",
        f"{CHECKPOINTS}/{{name}}/cosignatures",
        Access.ADMIN,
        "Take the cosignatures of known witnesses.",
        closed({"note": TEXT}),
        ref("CheckpointShown"),
        refusals=(422,),
    ),
)
