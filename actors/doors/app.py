"""The control plane: which path leads to which route, and how everything that goes wrong there is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final

from quart import Response, g, request
from quart_trio import QuartTrio

from actors.doors import desk
from actors.doors.approvals import ApprovalRoutes
from actors.doors.asking import AskingRoutes
from actors.doors.audit import AuditRoutes
from actors.doors.boundary import BoundaryRoutes
from actors.doors.budgets import BudgetRoutes
from actors.doors.checkpoints import CheckpointRoutes
from actors.doors.conformance import ConformanceRoutes
from actors.doors.console import ConsoleRoutes
from actors.doors.delegations import DelegationRoutes
from actors.doors.desk import Desk, answer, problem_answer, row_of
from actors.doors.documents.routes import DocumentRoutes
from actors.doors.envelopes import EnvelopeRoutes
from actors.doors.exports import ExportRoutes
from actors.doors.heading import SECURITY, heading_of
from actors.doors.identity import IdentityRoutes
from actors.doors.keys import KeyRoutes
from actors.doors.mcp.authorize import AuthorizeRoutes
from actors.doors.mcp.profiles import ProfileRoutes
from actors.doors.mcp.registry import RegistryRoutes
from actors.doors.metrics import MetricsRoutes
from actors.doors.operators import OperatorRoutes
from actors.doors.policies import PolicyRoutes
from actors.doors.problem import Problem, overloaded, stopped
from actors.doors.proofgraph import ProofGraphRoutes
from actors.doors.receipts import ReceiptRoutes
from actors.doors.relations import RelationRoutes
from actors.doors.sandbox import SandboxRoutes
from actors.doors.sessions import SessionRoutes
from actors.doors.signposts import lead_on
from actors.doors.snapshots import SnapshotRoutes
from actors.doors.tail import Tails
from actors.doors.telemetry import TelemetryRoutes
from actors.doors.trust import TrustRoutes
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.mailbox import KernelStopped, Overloaded
from actors.stores.index import IndexFailed
from actors.stores.port import JournalFailed
from helm import __version__
from helm.config import Config
from helm.crypto.canonical import canonical
from helm.surfaces.openapi import document
from helm.surfaces.route import VARIABLE, Door
from helm.surfaces.table import TABLE

SAID: Final = {
    HTTPStatus.BAD_REQUEST: "the request cannot be understood",
    HTTPStatus.NOT_FOUND: "nothing is here; GET /docs has the pages, /console/ is for people",
    HTTPStatus.METHOD_NOT_ALLOWED: "not with this method",
    HTTPStatus.REQUEST_TIMEOUT: "the body took too long",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the body is longer than {desk.MAX_BODY_BYTES} bytes",
    HTTPStatus.INTERNAL_SERVER_ERROR: "HELM failed to answer; its log says why",
}
"""What a refusal of the framework's own means here."""

Handler = Callable[..., Awaitable[Response]]


def control_plane(kernel: Kernel, config: Config, who: Credentials, tails: Tails) -> QuartTrio:
    """Return the application. It starts no task of its own: whatever runs longer than a request lives in the kernel."""
    app = QuartTrio("helm", static_folder=None, template_folder=None)
    app.url_map = routed().url_map
    app.config.update(MAX_CONTENT_LENGTH=desk.MAX_BODY_BYTES, BODY_TIMEOUT=desk.BODY_S, PROPAGATE_EXCEPTIONS=False)
    app.before_request(lead_on)
    app.after_request(dressed)
    tell_refusals(app)
    at = Desk(who)
    for name, handler in mounted(handlers(kernel, config, at, tails)).items():
        app.view_functions[name] = admitted(at, name, handler)
    return app


@cache
def routed() -> QuartTrio:
    """Return an application that knows its paths and answers none: that takes longest, and is alike for all of them."""
    app = QuartTrio("helm", static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False  # one path, one spelling
    for name, row in TABLE.items():
        if row.door is Door.CONTROL:
            rule = VARIABLE.sub(r"<\1>", row.path)
            app.add_url_rule(rule, name, methods=[row.method], provide_automatic_options=False)
    return app


def mounted(found: dict[str, Handler]) -> dict[str, Handler]:
    """Return the handlers. Raises ValueError where they are not those of the rows that this application answers."""
    rows = {name for name, row in TABLE.items() if row.door is Door.CONTROL}
    if found.keys() != rows:
        raise ValueError(f"rows and handlers differ: {sorted(found.keys() ^ rows)}")
    return found


def admitted(at: Desk, name: str, handler: Handler) -> Handler:
    """Return a handler that is asked only by whom its row names."""

    async def answered(**names: str) -> Response:
        at.admit(row_of(name))
        return await handler(**names)

    return answered


def handlers(kernel: Kernel, config: Config, at: Desk, tails: Tails) -> dict[str, Handler]:
    """Return who answers each row of the control plane, by the row's name."""
    state, receipts, sessions = StateRoutes(kernel), ReceiptRoutes(kernel, at, tails), SessionRoutes(kernel, at)
    asking = AskingRoutes(kernel, config, at)
    operators, approvals = OperatorRoutes(kernel, at), ApprovalRoutes(kernel, at)
    delegations, trust = DelegationRoutes(kernel, at), TrustRoutes(kernel, at)
    profiles, relations = ProfileRoutes(kernel, at), RelationRoutes(kernel, at)
    servers, snapshots = RegistryRoutes(kernel, at), SnapshotRoutes(kernel, at)
    authorize = AuthorizeRoutes(kernel, config, at)
    budgets, identity = BudgetRoutes(kernel, at), IdentityRoutes(kernel, at)
    checkpoints, envelopes = CheckpointRoutes(kernel, at), EnvelopeRoutes(kernel, config, at)
    boundary, graph = BoundaryRoutes(kernel, config, at), ProofGraphRoutes(kernel, at)
    sandbox, conformance = SandboxRoutes(kernel, at), ConformanceRoutes(kernel, at)
    policies, console = PolicyRoutes(kernel, at), ConsoleRoutes()
    exports, documents = ExportRoutes(kernel, config, at), DocumentRoutes()
    telemetry = TelemetryRoutes(kernel, config, at)
    keys = KeyRoutes(kernel, at)
    return {
        "console": console.index,
        "console_file": console.show,
        "documents": documents.browse,
        "document": documents.document,
        "document_file": documents.file,
        "trust_page": documents.trust,
        "trust_markdown": documents.trust_markdown,
        "security_map": documents.security_map,
        "security_markdown": documents.security_markdown,
        "security_page": documents.security,
        "llms": documents.llms,
        "llms_full": documents.llms_full,
        "healthz": state.alive,
        "readyz": state.ready,
        "version": state.version,
        "list_receipts": receipts.browse,
        "tail_receipts": receipts.follow,
        "get_receipt": receipts.show,
        "get_record": receipts.record,
        "export_pack": exports.fetch,
        "make_pack": exports.make,
        "list_approvals": approvals.browse,
        "create_approval": asking.create,
        "list_envelopes": envelopes.browse,
        "create_envelope": envelopes.create,
        "get_envelope": envelopes.show,
        "get_envelope_payload": envelopes.payload,
        "verify_envelope": envelopes.verify,
        "list_checkpoints": checkpoints.browse,
        "take_checkpoint": checkpoints.take,
        "get_checkpoint": checkpoints.show,
        "get_checkpoint_note": checkpoints.note,
        "verify_checkpoint": checkpoints.verify,
        "prove_consistency": checkpoints.grown,
        "cosign_checkpoint": checkpoints.cosign,
        "prove_inclusion": checkpoints.prove,
        "get_approval": approvals.show,
        "challenge_approval": approvals.challenge,
        "approve_approval": approvals.approve,
        "deny_approval": approvals.deny,
        "revoke_approval": approvals.revoke,
        "dispute_approval": approvals.dispute,
        "override_approval": approvals.override,
        "review_approval": approvals.review,
        "list_delegations": delegations.browse,
        "create_delegation": delegations.create,
        "get_delegation": delegations.show,
        "revoke_delegation": delegations.revoke,
        "list_sandbox_profiles": sandbox.profiles,
        "preflight_sandbox": sandbox.preflight,
        "list_sandbox_grants": sandbox.browse,
        "draft_sandbox_grant": sandbox.draft,
        "inspect_sandbox_grant": sandbox.inspect,
        "get_sandbox_grant": sandbox.show,
        "verify_sandbox_grant": sandbox.verify,
        "list_budgets": budgets.browse,
        "set_budget": budgets.set,
        "get_policy": policies.show,
        "add_overlay": policies.overlay,
        "remove_overlay": policies.remove,
        "cancel_raise": policies.cancel,
        "authz_health": relations.health,
        "authz_check": relations.check,
        "list_authz_snapshots": snapshots.browse,
        "get_authz_snapshot": snapshots.show,
        "write_authz_tuples": relations.write,
        "list_mcp_servers": servers.browse,
        "command_mcp_server": servers.register,
        "get_mcp_server": servers.show,
        "approve_mcp_server": servers.approve,
        "revoke_mcp_server": servers.revoke,
        "scan_mcp_listing": servers.scan,
        "authorize_mcp_call": authorize.ask,
        "list_auth_profiles": profiles.browse,
        "get_auth_profile": profiles.show,
        "list_agents": identity.browse,
        "get_agent": identity.show,
        "open_session": sessions.open,
        "get_session": sessions.show,
        "close_session": sessions.close,
        "get_freeze": operators.stops,
        "freeze": operators.freeze,
        "boundary_status": boundary.status,
        "list_capabilities": boundary.capabilities,
        "list_records": boundary.browse,
        "verify_record": boundary.verify,
        "list_sessions": graph.sessions,
        "list_graph_sessions": graph.sessions,
        "get_graph_session": graph.session,
        "repin_connector": operators.repin,
        "list_keys": keys.browse,
        "issue_key": keys.issue,
        "get_key": keys.show,
        "revoke_key": keys.revoke,
        "list_acts": AuditRoutes(kernel, at).browse,
        "list_negative_vectors": conformance.negative,
        "list_vectors": conformance.vectors,
        "run_conformance": conformance.run,
        "list_reports": conformance.browse,
        "get_report": conformance.show,
        "list_trust_events": trust.events,
        "add_trust_event": trust.change,
        "list_trust_keys": trust.keys,
        "get_trust_snapshot": trust.snapshot,
        "list_connectors": operators.connectors,
        "resume_connector": operators.resume,
        "metrics": MetricsRoutes(kernel, at).show,
        "otel_config": telemetry.config_shown,
        "export_telemetry": telemetry.export,
        "list_coexistence": telemetry.coexistence,
        "openapi": state.document,
    }


class StateRoutes:
    """What anyone may know: that the process lives, whether it decides, and what it is."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    async def alive(self) -> Response:
        """Answer while the process can answer at all."""
        return answer({"status": "alive"})

    async def ready(self) -> Response:
        """Answer 200 while calls are judged, 503 otherwise."""
        self.kernel.check_ready()
        return answer({"status": "ready"})

    async def document(self) -> Response:
        """Answer with the OpenAPI document of all that this door answers."""
        return Response(openapi_document(), content_type="application/json")

    async def version(self) -> Response:
        """Answer with the program's name and version."""
        return answer({"name": "helm", "version": __version__})


@lru_cache(maxsize=1)
def openapi_document() -> bytes:
    """Return the document of the table, in canonical bytes."""
    return canonical(document(TABLE.values()))


def tell_refusals(app: QuartTrio) -> None:
    """Have everything that can go wrong told as problem+json, and nothing that is only ours to know."""

    async def told(problem: Problem) -> Response:
        return problem_answer(problem)

    async def told_by_http(problem: Any) -> Response:
        headers = [(name.lower(), value) for name, value in problem.get_headers() if name.lower() == "allow"]
        return problem_answer(Problem(status=problem.code, detail=SAID[problem.code], headers=headers))

    async def told_of_stop(problem: KernelStopped) -> Response:
        return problem_answer(stopped(unknown=problem.unknown))

    async def told_of_failure(_: Exception) -> Response:
        return problem_answer(stopped(unknown=False))

    async def told_of_overload(problem: Overloaded) -> Response:
        return problem_answer(overloaded(str(problem)))

    app.register_error_handler(Problem, told)
    for status in SAID:
        app.register_error_handler(status, told_by_http)
    app.register_error_handler(KernelStopped, told_of_stop)
    app.register_error_handler(Overloaded, told_of_overload)
    app.register_error_handler(JournalFailed, told_of_failure)
    app.register_error_handler(IndexFailed, told_of_failure)


async def dressed(response: Response) -> Response:
    """Return the answer with the headers that every answer carries."""
    found = g.heading if "heading" in g else heading_of(request.scope["headers"])
    for name, value in (*SECURITY, *found.echoed()):
        response.headers.setdefault(name.decode(), value.decode())
    return response
