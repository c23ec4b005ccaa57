"""The control plane: which path leads to which route, and how everything that goes wrong there is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from quart import Response, g, request
from quart_trio import QuartTrio

from actors.doors import desk
from actors.doors.approvals import ApprovalRoutes
from actors.doors.asking import AskingRoutes
from actors.doors.audit import AuditRoutes
from actors.doors.budgets import BUDGETS, BudgetRoutes
from actors.doors.checkpoints import CHECKPOINTS, PROOFS, CheckpointRoutes
from actors.doors.delegations import DELEGATIONS, DelegationRoutes
from actors.doors.desk import Desk, answer, problem_answer
from actors.doors.heading import SECURITY, heading_of
from actors.doors.identity import AGENTS, IdentityRoutes
from actors.doors.mcp.authorize import AUTHORIZE, AuthorizeRoutes
from actors.doors.mcp.profiles import PROFILES, ProfileRoutes
from actors.doors.mcp.registry import REGISTRY, SCAN, RegistryRoutes
from actors.doors.metrics import METRICS, MetricsRoutes
from actors.doors.operators import OperatorRoutes
from actors.doors.policies import POLICY, PolicyRoutes
from actors.doors.problem import Problem, overloaded, stopped
from actors.doors.receipts import ReceiptRoutes
from actors.doors.relations import AUTHZ, RelationRoutes
from actors.doors.sandbox import GRANTS, SANDBOX, SandboxRoutes
from actors.doors.sessions import SESSIONS, SessionRoutes
from actors.doors.snapshots import SnapshotRoutes
from actors.doors.tail import Tails
from actors.doors.trust import TrustRoutes
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.mailbox import KernelStopped, Overloaded
from actors.stores.index import IndexFailed
from actors.stores.port import JournalFailed
from helm import __version__
from helm.config import Config

API: Final = "/api/v1"

SAID: Final = {
    HTTPStatus.BAD_REQUEST: "the request cannot be understood",
    HTTPStatus.NOT_FOUND: "nothing is here",
    HTTPStatus.METHOD_NOT_ALLOWED: "not with this method",
    HTTPStatus.REQUEST_TIMEOUT: "the body took too long",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the body is longer than {desk.MAX_BODY_BYTES} bytes",
    HTTPStatus.INTERNAL_SERVER_ERROR: "HELM failed to answer; its log says why",
}
"""What a refusal of the framework's own means here."""

Route = Callable[..., Awaitable[Response]]


def control_plane(kernel: Kernel, config: Config, who: Credentials, tails: Tails) -> QuartTrio:
    """Return the application. It starts no task of its own: whatever runs longer than a request lives in the kernel."""
    app = QuartTrio("helm", static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False  # one path, one spelling
    app.config.update(MAX_CONTENT_LENGTH=desk.MAX_BODY_BYTES, BODY_TIMEOUT=desk.BODY_S, PROPAGATE_EXCEPTIONS=False)
    app.after_request(dressed)
    tell_refusals(app)
    for rule, methods in routes(kernel, config, Desk(who), tails).items():
        for method, route in methods.items():
            app.add_url_rule(rule, f"{method} {rule}", route, methods=[method], provide_automatic_options=False)
    return app


def routes(kernel: Kernel, config: Config, at: Desk, tails: Tails) -> dict[str, dict[str, Route]]:
    """Return every route of the control plane."""
    state, receipts, sessions = StateRoutes(kernel), ReceiptRoutes(kernel, at, tails), SessionRoutes(kernel, at)
    asking = AskingRoutes(kernel, config, at)
    operators, approvals = OperatorRoutes(kernel, at), ApprovalRoutes(kernel, at)
    delegations, trust = DelegationRoutes(kernel, at), TrustRoutes(kernel, at)
    profiles, relations = ProfileRoutes(kernel, at), RelationRoutes(kernel, at)
    servers, snapshots = RegistryRoutes(kernel, at), SnapshotRoutes(kernel, at)
    authorize = AuthorizeRoutes(kernel, config, at)
    budgets, identity = BudgetRoutes(kernel, at), IdentityRoutes(kernel, at)
    checkpoints = CheckpointRoutes(kernel, at)
    sandbox = SandboxRoutes(kernel, at)
    policies = PolicyRoutes(kernel, at)
    return {
        "/healthz": {"GET": state.alive},
        "/readyz": {"GET": state.ready},
        "/version": {"GET": state.version},
        METRICS: {"GET": MetricsRoutes(kernel, at).show},
        f"{API}/receipts": {"GET": receipts.browse},
        f"{API}/receipts/tail": {"GET": receipts.follow},
        f"{API}/receipts/<receipt_id>": {"GET": receipts.show},
        f"{API}/boundary/records/<record_id>": {"GET": receipts.record},
        f"{API}/approvals": {"GET": approvals.browse, "POST": asking.create},
        CHECKPOINTS: {"GET": checkpoints.browse, "POST": checkpoints.take},
        f"{CHECKPOINTS}/<name>": {"GET": checkpoints.show},
        f"{CHECKPOINTS}/<name>/note": {"GET": checkpoints.note},
        f"{CHECKPOINTS}/<name>/verify": {"POST": checkpoints.verify},
        f"{CHECKPOINTS}/<name>/consistency": {"GET": checkpoints.grown},
        f"{CHECKPOINTS}/<name>/cosignatures": {"POST": checkpoints.cosign},
        f"{PROOFS}/<wanted>": {"GET": checkpoints.prove},
        f"{API}/approvals/<approval_id>": {"GET": approvals.show},
        f"{API}/approvals/<approval_id>/challenge": {"POST": approvals.challenge},
        f"{API}/approvals/<approval_id>/approve": {"POST": approvals.approve},
        f"{API}/approvals/<approval_id>/deny": {"POST": approvals.deny},
        f"{API}/approvals/<approval_id>/revoke": {"POST": approvals.revoke},
        f"{API}/approvals/<approval_id>/dispute": {"POST": approvals.dispute},
        f"{API}/approvals/<approval_id>/override": {"POST": approvals.override},
        f"{API}/approvals/<approval_id>/review": {"POST": approvals.review},
        DELEGATIONS: {"GET": delegations.browse, "POST": delegations.create},
        f"{DELEGATIONS}/<name>": {"GET": delegations.show},
        f"{DELEGATIONS}/<name>/revoke": {"POST": delegations.revoke},
        f"{SANDBOX}/profiles": {"GET": sandbox.profiles},
        f"{SANDBOX}/preflight": {"POST": sandbox.preflight},
        GRANTS: {"GET": sandbox.browse, "POST": sandbox.draft},
        f"{GRANTS}/inspect": {"POST": sandbox.inspect},
        f"{GRANTS}/<grant_id>": {"GET": sandbox.show},
        f"{GRANTS}/<grant_id>/verify": {"POST": sandbox.verify},
        BUDGETS: {"GET": budgets.browse},
        f"{BUDGETS}/<name>": {"PUT": budgets.set},
        POLICY: {"GET": policies.show},
        f"{POLICY}/overlays": {"POST": policies.overlay},
        f"{POLICY}/overlays/<name>/remove": {"POST": policies.remove},
        f"{POLICY}/p0/cancel": {"POST": policies.cancel},
        f"{AUTHZ}/health": {"GET": relations.health},
        f"{AUTHZ}/check": {"GET": relations.check},
        f"{AUTHZ}/snapshots": {"GET": snapshots.browse},
        f"{AUTHZ}/snapshots/<name>": {"GET": snapshots.show},
        f"{AUTHZ}/tuples": {"POST": relations.write},
        REGISTRY: {"GET": servers.browse, "POST": servers.register},
        f"{REGISTRY}/<server_id>": {"GET": servers.show},
        f"{REGISTRY}/<server_id>/approve": {"POST": servers.approve},
        f"{REGISTRY}/<server_id>/revoke": {"POST": servers.revoke},
        SCAN: {"POST": servers.scan},
        AUTHORIZE: {"POST": authorize.ask},
        PROFILES: {"GET": profiles.browse},
        f"{PROFILES}/<profile_id>": {"GET": profiles.show},
        AGENTS: {"GET": identity.browse},
        f"{AGENTS}/<agent_id>": {"GET": identity.show},
        SESSIONS: {"POST": sessions.open},
        f"{SESSIONS}/<session_id>": {"GET": sessions.show, "DELETE": sessions.close},
        f"{API}/freeze": {"GET": operators.stops, "POST": operators.freeze},
        f"{API}/audit": {"GET": AuditRoutes(kernel, at).browse},
        f"{API}/trust/events": {"GET": trust.events, "POST": trust.change},
        f"{API}/trust/keys": {"GET": trust.keys},
        f"{API}/trust/snapshot": {"GET": trust.snapshot},
        f"{API}/connectors": {"GET": operators.connectors},
        f"{API}/connectors/<name>/resume": {"POST": operators.resume},
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
        self.kernel.check_running()
        if self.kernel.parts.journal.low_space:
            raise overloaded("the journal's disk is nearly full: no call is judged")
        return answer({"status": "ready"})

    async def version(self) -> Response:
        """Answer with the program's name and version."""
        return answer({"name": "helm", "version": __version__})


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
        response.headers[name.decode()] = value.decode()
    return response
