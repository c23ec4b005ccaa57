"""Rows on which a tool is called, and on which one asks whether the process lives."""

from __future__ import annotations

from typing import Any, Final

from helm.surfaces.route import EVENTS, JSON, PROBLEM, Access, Answer, Door, Route
from helm.surfaces.route import TEXT as PLAIN
from helm.surfaces.rows.row import get, headers
from helm.surfaces.words import OBJECT, TEXT, WHOLE, WORDS, closed, listed, one_of, ref, shaped

MAX_LABELS: Final = 32
"""Taint labels on one call: its session carries them from then on (T4)."""

GOVERNED: Final = ("x-helm-receipt-id", "x-helm-decision-id", "x-helm-verdict", "x-helm-lamport-clock")
MAYBE_GOVERNED: Final = ("x-helm-reason-code", "x-helm-output-hash", "location", "retry-after")

CALL: Final = shaped(
    {},
    approval_id=WORDS,
    arguments={"description": "an object, or a string that holds one", "type": ["object", "string"]},
    delegation=closed(
        {"id": WORDS, "sequence": WHOLE, "verifier": {"type": "string", "minLength": 1, "maxLength": 128}}
    ),
    idempotency_key=WORDS,
    principal=WORDS,
    session_id=WORDS,
    taint={"type": "array", "items": WORDS, "maxItems": MAX_LABELS},
    tool=WORDS,
)
"""A call as it is asked for. What breaks this and still names a tool is refused with a receipt (T9)."""


def governed(about: str, status: int) -> Answer:
    """Return the answer of a call that was judged."""
    kind, schema = (JSON, ref("Governed")) if status < 400 else (PROBLEM, {"anyOf": [ref("Refusal"), ref("Problem")]})
    return Answer(about=about, schema=schema, media_type=kind, headers=(*GOVERNED, *MAYBE_GOVERNED))


ENDS: Final = {
    200: governed("The effect succeeded.", 200),
    202: governed("ESCALATE: it waits for a human.", 202),
    403: governed("DENY, with its receipt; or a key that does not open the route.", 403),
    409: governed("DENY: the idempotency key was used with another call.", 409),
    429: governed("DENY: the velocity limit.", 429),
    502: governed("ALLOW, and the connector failed or broke its contract.", 502),
    503: governed("Not dispatched, overloaded, or no kernel.", 503),
    504: governed("ALLOW, and nobody knows whether it happened.", 504),
}


def call(name: str, path: str, about: str, answers: dict[int, Answer], door: Door = Door.CALLS) -> Route:
    """Return a row on which a tool is named."""
    return Route(
        name=name,
        method="POST",
        path=path,
        access=Access.TENANT,
        about=about,
        answers=answers,
        parameters=headers(("idempotency-key", "x-helm-tool")),
        body=CALL,
        door=door,
    )


def openai(name: str, path: str, about: str) -> Route:
    """Return a row of the OpenAI-compatible proxy. Its refusals are OpenAI's error objects."""
    error = Answer(about="A refusal, as OpenAI's clients read it.", schema=ref("OpenAiError"), headers=MAYBE_GOVERNED)
    told = Answer(about="What the model said, each call of a tool in it judged.", schema=OBJECT)
    statuses = (400, 401, 403, 408, 413, 415, 429, 500, 502, 503, 504)
    return Route(
        name=name,
        method="POST",
        path=path,
        access=Access.TENANT,
        about=about,
        answers={200: told, **dict.fromkeys(statuses, error)},
        parameters=headers(("x-helm-session", "x-helm-approval", "x-upstream-key")),
        body=OBJECT,
        door=Door.OPENAI,
    )


RPC: Final[dict[str, Any]] = {"type": "object", "required": ["jsonrpc"]}

CALLS: Final = (
    call("execute_tool", "/v1/tools/execute", "Call a tool.", ENDS),
    call("evaluate", "/api/v1/evaluate", "Judge a call, and dispatch nothing.", {200: governed("The verdict.", 200)}),
    call("mcp_execute", "/mcp/v1/execute", "Call a tool, as one that came through MCP.", ENDS, Door.MCP),
    Route(
        name="mcp_message",
        method="POST",
        path="/mcp",
        access=Access.TENANT,
        about="One message of MCP over streamable HTTP.",
        answers={
            200: Answer(
                about="The answer, or the events before it and then the answer.", schema=RPC, others=((EVENTS, TEXT),)
            ),
            202: Answer(about="A notification was taken."),
            **{
                status: Answer(
                    about="A fault of JSON-RPC, or a problem.", schema=RPC, others=((PROBLEM, ref("Problem")),)
                )
                for status in (400, 401, 403, 404, 406)
            },
        },
        parameters=headers(("mcp-protocol-version", "mcp-method", "mcp-name")),
        body=RPC,
        door=Door.MCP,
    ),
    Route(
        name="mcp_socket",
        method="GET",
        path="/mcp",
        access=Access.TENANT,
        about="Refused: HELM never speaks first, and MCP over a WebSocket is not mediated.",
        answers={},
        refusals=(405, 406),
        door=Door.MCP,
    ),
    get(
        "mcp_capabilities",
        "/mcp/v1/capabilities",
        Access.TENANT,
        "What the MCP door speaks, and which tools a caller may call.",
        closed(
            {
                "limits": closed({"message_bytes": WHOLE, "message_depth": WHOLE}),
                "protocol_versions": listed(TEXT),
                "refused": listed(TEXT),
                "tools": listed(OBJECT),
                "transports": listed(TEXT),
            }
        ),
        door=Door.MCP,
    ),
    get(
        "mcp_resource_metadata",
        "/.well-known/oauth-protected-resource/mcp",
        Access.PUBLIC,
        "Whose access tokens open the MCP door (RFC 9728).",
        closed(
            {
                "authorization_servers": listed(TEXT),
                "bearer_methods_supported": listed(TEXT),
                "resource": TEXT,
                "resource_name": TEXT,
                "scopes_supported": listed(TEXT),
            }
        ),
        refusals=(403, 404),
        door=Door.MCP,
    ),
    openai("chat_completions", "/v1/chat/completions", "One exchange with the upstream's model (`helm proxy`)."),
    openai("responses", "/v1/responses", "The same, in the form of the newer interface (`helm proxy`)."),
    Route(
        name="list_models",
        method="GET",
        path="/v1/models",
        access=Access.TENANT,
        about="The upstream's models (`helm proxy`).",
        answers={
            200: Answer(about="As the upstream lists them.", schema=OBJECT),
            **dict.fromkeys((400, 401, 403, 502, 503, 504), Answer(about="A refusal.", schema=ref("OpenAiError"))),
        },
        door=Door.OPENAI,
    ),
    Route(
        name="open_stream",
        method="GET",
        path="/v1/stream",
        access=Access.ANY,
        about="Many calls on one WebSocket, answered as they are sealed (`helm.stream.v1`).",
        answers={101: Answer(about="The connection is a stream from here on.")},
        refusals=(426,),
        door=Door.STREAM,
    ),
)

STATE: Final = (
    get("healthz", "/healthz", Access.PUBLIC, "Whether the process lives.", closed({"status": one_of("alive")})),
    get("readyz", "/readyz", Access.PUBLIC, "Whether calls are judged.", closed({"status": one_of("ready")})),
    get("version", "/version", Access.PUBLIC, "Which HELM this is.", closed({"name": TEXT, "version": TEXT})),
    get("openapi", "/openapi.json", Access.PUBLIC, "This document.", OBJECT),
    Route(
        name="console",
        method="GET",
        path="/console/",
        access=Access.PUBLIC,
        about="The console, for browsers.",
        answers={200: Answer(about="The page.", schema=TEXT, media_type="text/html")},
    ),
    Route(
        name="console_file",
        method="GET",
        path="/console/{name}",
        access=Access.PUBLIC,
        about="A file of the console.",
        answers={200: Answer(about="The file, of the kind that its name says.", schema=TEXT, media_type="*/*")},
        refusals=(404,),
    ),
    Route(
        name="metrics",
        method="GET",
        path="/metrics",
        access=Access.ADMIN,
        about="Counts and times for Prometheus.",
        answers={200: Answer(about="The figures.", schema=TEXT, media_type=PLAIN)},
    ),
)
