"""Rows for whoever runs HELM: sessions, identities, connectors, sandboxes, MCP servers, acts of administration."""

from __future__ import annotations

from typing import Final

from helm.guardian.servers import ServerCommand
from helm.surfaces.objects import GOVERNED as MEMBERS
from helm.surfaces.objects import STATUS
from helm.surfaces.route import Access, Answer, Route
from helm.surfaces.rows.authority import signed
from helm.surfaces.rows.calls import GOVERNED, MAYBE_GOVERNED
from helm.surfaces.rows.row import API, after, asked, get, limit, post
from helm.surfaces.words import (
    ANYTHING,
    DIGEST,
    FLAG,
    OBJECT,
    TEXT,
    WHOLE,
    WORDS,
    closed,
    listed,
    maybe,
    ref,
    shaped,
)

SESSIONS: Final = f"{API}/sessions"
SANDBOX: Final = f"{API}/sandbox"
GRANTS: Final = f"{SANDBOX}/grants"
MCP: Final = f"{API}/mcp"
AGENTS: Final = f"{API}/identity/agents"
CONNECTORS: Final = f"{API}/connectors"

MAX_REASON: Final = 500

OF_SESSIONS: Final = (
    post(
        "open_session",
        SESSIONS,
        Access.TENANT,
        "Open a session.",
        shaped({}, session_id=WORDS),
        ref("Session"),
        status=201,
        refusals=(409,),
    ),
    get(
        "get_session",
        f"{SESSIONS}/{{session_id}}",
        Access.ANY,
        "Whose it is, since when, and its clock.",
        ref("Session"),
        parameters=asked(tenant=(TEXT, "Whose: for an operator's key.")),
    ),
    Route(
        name="close_session",
        method="DELETE",
        path=f"{SESSIONS}/{{session_id}}",
        access=Access.TENANT,
        about="Close a session for ever.",
        answers={200: Answer(about="The session, closed.", schema=ref("Session"))},
    ),
)

OF_IDENTITY: Final = (
    get(
        "list_agents",
        AGENTS,
        Access.ANY,
        "Who is known, and whose word counts.",
        closed(
            {
                "agents": listed(ref("Agent")),
                "is_complete": FLAG,
                "issuers": listed(OBJECT),
                "policy_epoch": WHOLE,
                "trust_domains": listed(OBJECT),
            }
        ),
        parameters=asked(
            principal=(TEXT, "Only this one."),
            source=(TEXT, "Only those whose identity comes from there."),
            tenant=(TEXT, "Only this tenant's: for an operator's key."),
        ),
    ),
    get("get_agent", f"{AGENTS}/{{agent_id}}", Access.ANY, "One identity and its latest sessions.", ref("Agent")),
)

OF_SANDBOX: Final = (
    get(
        "list_sandbox_profiles",
        f"{SANDBOX}/profiles",
        Access.ADMIN,
        "The profiles, and what stands behind each.",
        closed({"profiles": listed(OBJECT)}),
    ),
    get(
        "list_sandbox_grants",
        GRANTS,
        Access.ADMIN,
        "What the policy grants to guests, and the drafts.",
        closed({"grants": listed(ref("SandboxGrant"))}),
        refusals=(409,),
    ),
    post(
        "draft_sandbox_grant",
        GRANTS,
        Access.ADMIN,
        "Keep a draft of a grant: it grants nothing.",
        closed({"grant": OBJECT}),
        ref("SandboxGrant"),
        status=201,
        refusals=(409,),
    ),
    get(
        "get_sandbox_grant", f"{GRANTS}/{{grant_id}}", Access.ADMIN, "One grant.", ref("SandboxGrant"), refusals=(409,)
    ),
    post(
        "verify_sandbox_grant",
        f"{GRANTS}/{{grant_id}}/verify",
        Access.ADMIN,
        "Whether it is what its hash says, and whether the policy has it.",
        closed({}),
        closed({"grant_hash": DIGEST, "grant_id": WORDS, "in_policy": FLAG, "source": TEXT, "verified": FLAG}),
        refusals=(409,),
    ),
    post(
        "inspect_sandbox_grant",
        f"{GRANTS}/inspect",
        Access.ADMIN,
        "What stands against a dispatch under a grant.",
        closed({"grant": OBJECT}),
        ref("SandboxPreflight"),
    ),
    post(
        "preflight_sandbox",
        f"{SANDBOX}/preflight",
        Access.ADMIN,
        "The same of a grant that is kept.",
        closed({"grant_id": WORDS}),
        ref("SandboxPreflight"),
        refusals=(404, 409),
    ),
)

COMMAND: Final = signed(ServerCommand)

OF_MCP: Final = (
    get(
        "list_mcp_servers",
        f"{MCP}/registry",
        Access.ADMIN,
        "The MCP servers, and the next command's sequence.",
        closed({"log_id": DIGEST, "sequence": WHOLE, "servers": listed(ref("McpServer"))}),
    ),
    post(
        "command_mcp_server",
        f"{MCP}/registry",
        Access.ADMIN,
        "Obey a signed command about whichever server it names.",
        COMMAND,
        ref("McpServer"),
        refusals=(404, 409),
    ),
    get("get_mcp_server", f"{MCP}/registry/{{server_id}}", Access.ADMIN, "One server.", ref("McpServer")),
    post(
        "approve_mcp_server",
        f"{MCP}/registry/{{server_id}}/approve",
        Access.ADMIN,
        "Obey a signed approval.",
        COMMAND,
        ref("McpServer"),
        refusals=(409,),
    ),
    post(
        "revoke_mcp_server",
        f"{MCP}/registry/{{server_id}}/revoke",
        Access.ADMIN,
        "Obey a signed revocation.",
        COMMAND,
        ref("McpServer"),
        refusals=(409,),
    ),
    post(
        "scan_mcp_listing",
        f"{MCP}/scan",
        Access.ADMIN,
        "Look through a listing: nothing is started, and nothing is remembered.",
        shaped(
            {"tools": {"description": "a list of tools, or the result of tools/list", "type": ["array", "object"]}},
            command=listed(WORDS),
            server_id=TEXT,
            url=TEXT,
        ),
        closed({"findings": listed(OBJECT), "scanned": listed(TEXT)}),
    ),
    Route(
        name="authorize_mcp_call",
        method="POST",
        path=f"{MCP}/authorize-call",
        access=Access.TENANT,
        about="Whether a call would be allowed, with its receipt; nothing is dispatched.",
        answers={
            200: Answer(
                about="The decision, whatever it is.",
                schema=shaped({**MEMBERS, "status": STATUS, "tool": TEXT}, approval_id=TEXT),
                headers=(*GOVERNED, *MAYBE_GOVERNED),
            )
        },
        body=shaped({"tool": WORDS}, arguments=ANYTHING, scopes=listed(WORDS), server_id=TEXT, session_id=TEXT),
        refusals=(409,),
    ),
    get(
        "list_auth_profiles",
        f"{MCP}/auth-profiles",
        Access.ADMIN,
        "Whose access tokens open the MCP door.",
        closed({"auth_profiles": listed(ref("AuthProfile"))}),
    ),
    get("get_auth_profile", f"{MCP}/auth-profiles/{{profile_id}}", Access.ADMIN, "One profile.", ref("AuthProfile")),
)

OF_CONNECTORS: Final = (
    get(
        "list_connectors",
        CONNECTORS,
        Access.ADMIN,
        "The connectors, why one is halted, and why one cannot be started or reached, and since when.",
        closed({"connectors": listed(ref("Connector"))}),
    ),
    post(
        "repin_connector",
        f"{CONNECTORS}/{{name}}/repin",
        Access.ADMIN,
        "Draft what an MCP server's pins would have to be: only a signed policy puts them in force.",
        closed({}),
        ref("ConnectorPins"),
        refusals=(409,),
    ),
    post(
        "resume_connector",
        f"{CONNECTORS}/{{name}}/resume",
        Access.ADMIN,
        "Let a halted connector serve again.",
        closed({"reason": {"type": "string", "minLength": 1, "maxLength": MAX_REASON}}),
        ref("Connector"),
        refusals=(409,),
    ),
)

OF_AUDIT: Final = (
    get(
        "list_acts",
        f"{API}/audit",
        Access.ADMIN,
        "Who did what: every act of administration, in order.",
        closed({"acts": listed(ref("Act")), "log_id": DIGEST, "next": maybe(WHOLE)}),
        parameters=asked(after=after("entry"), limit=limit(200)),
    ),
)
