"""Every row of the HTTP surface as a method, blocking. Drawn from the table of routes by `python -m conformance.schemas`; not to be edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from actors.client import answers
from actors.client.exchange import Query, part


class Rows:
    """The rows; whoever sends the requests stands below."""

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Any:
        raise NotImplementedError

    def healthz(self) -> answers.HealthzAnswer:
        """Whether the process lives."""
        told = self._ask(
            "GET",
            "/healthz",
        )
        return cast(answers.HealthzAnswer, told)

    def readyz(self) -> answers.ReadyzAnswer:
        """Whether calls are judged."""
        told = self._ask(
            "GET",
            "/readyz",
        )
        return cast(answers.ReadyzAnswer, told)

    def version(self) -> answers.VersionAnswer:
        """Which HELM this is."""
        told = self._ask(
            "GET",
            "/version",
        )
        return cast(answers.VersionAnswer, told)

    def openapi(self) -> dict[str, Any]:
        """This document."""
        told = self._ask(
            "GET",
            "/openapi.json",
        )
        return cast(dict[str, Any], told)

    def metrics(self) -> str:
        """Counts and times for Prometheus."""
        told = self._ask(
            "GET",
            "/metrics",
        )
        return cast(str, told)

    def execute_tool(
        self,
        body: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        x_helm_tool: str | None = None,
    ) -> answers.Governed:
        """Call a tool."""
        headers: dict[str, str | None] = {
            "idempotency-key": idempotency_key,
            "x-helm-tool": x_helm_tool,
        }
        told = self._ask(
            "POST",
            "/v1/tools/execute",
            headers=headers,
            body=body,
        )
        return cast(answers.Governed, told)

    def evaluate(
        self,
        body: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        x_helm_tool: str | None = None,
    ) -> answers.Governed:
        """Judge a call, and dispatch nothing."""
        headers: dict[str, str | None] = {
            "idempotency-key": idempotency_key,
            "x-helm-tool": x_helm_tool,
        }
        told = self._ask(
            "POST",
            "/api/v1/evaluate",
            headers=headers,
            body=body,
        )
        return cast(answers.Governed, told)

    def mcp_execute(
        self,
        body: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        x_helm_tool: str | None = None,
    ) -> answers.Governed:
        """Call a tool, as one that came through MCP."""
        headers: dict[str, str | None] = {
            "idempotency-key": idempotency_key,
            "x-helm-tool": x_helm_tool,
        }
        told = self._ask(
            "POST",
            "/mcp/v1/execute",
            headers=headers,
            body=body,
        )
        return cast(answers.Governed, told)

    def mcp_message(
        self,
        body: Mapping[str, Any],
        *,
        mcp_protocol_version: str | None = None,
        mcp_method: str | None = None,
        mcp_name: str | None = None,
    ) -> dict[str, Any] | str:
        """One message of MCP over streamable HTTP."""
        headers: dict[str, str | None] = {
            "mcp-protocol-version": mcp_protocol_version,
            "mcp-method": mcp_method,
            "mcp-name": mcp_name,
        }
        told = self._ask(
            "POST",
            "/mcp",
            headers=headers,
            body=body,
        )
        return cast(dict[str, Any] | str, told)

    def mcp_capabilities(self) -> answers.McpCapabilitiesAnswer:
        """What the MCP door speaks, and which tools a caller may call."""
        told = self._ask(
            "GET",
            "/mcp/v1/capabilities",
        )
        return cast(answers.McpCapabilitiesAnswer, told)

    def mcp_resource_metadata(self) -> answers.McpResourceMetadataAnswer:
        """Whose access tokens open the MCP door (RFC 9728)."""
        told = self._ask(
            "GET",
            "/.well-known/oauth-protected-resource/mcp",
        )
        return cast(answers.McpResourceMetadataAnswer, told)

    def chat_completions(
        self,
        body: Mapping[str, Any],
        *,
        x_helm_session: str | None = None,
        x_helm_approval: str | None = None,
        x_upstream_key: str | None = None,
    ) -> dict[str, Any]:
        """One exchange with the upstream's model (`helm proxy`)."""
        headers: dict[str, str | None] = {
            "x-helm-session": x_helm_session,
            "x-helm-approval": x_helm_approval,
            "x-upstream-key": x_upstream_key,
        }
        told = self._ask(
            "POST",
            "/v1/chat/completions",
            headers=headers,
            body=body,
        )
        return cast(dict[str, Any], told)

    def responses(
        self,
        body: Mapping[str, Any],
        *,
        x_helm_session: str | None = None,
        x_helm_approval: str | None = None,
        x_upstream_key: str | None = None,
    ) -> dict[str, Any]:
        """The same, in the form of the newer interface (`helm proxy`)."""
        headers: dict[str, str | None] = {
            "x-helm-session": x_helm_session,
            "x-helm-approval": x_helm_approval,
            "x-upstream-key": x_upstream_key,
        }
        told = self._ask(
            "POST",
            "/v1/responses",
            headers=headers,
            body=body,
        )
        return cast(dict[str, Any], told)

    def list_models(self) -> dict[str, Any]:
        """The upstream's models (`helm proxy`)."""
        told = self._ask(
            "GET",
            "/v1/models",
        )
        return cast(dict[str, Any], told)

    def list_receipts(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reason_code: str | None = None,
        session_id: str | None = None,
        tenant: str | None = None,
        tool: str | None = None,
        verdict: str | None = None,
    ) -> answers.ListReceiptsAnswer:
        """A page of receipts, oldest first."""
        query: Query = {
            "after": after,
            "before": before,
            "limit": limit,
            "reason_code": reason_code,
            "session_id": session_id,
            "tenant": tenant,
            "tool": tool,
            "verdict": verdict,
        }
        told = self._ask(
            "GET",
            "/api/v1/receipts",
            query=query,
        )
        return cast(answers.ListReceiptsAnswer, told)

    def get_receipt(
        self,
        receipt_id: str,
    ) -> answers.Story:
        """One receipt with its story."""
        told = self._ask(
            "GET",
            f"/api/v1/receipts/{part(receipt_id)}",
        )
        return cast(answers.Story, told)

    def boundary_status(self) -> answers.BoundaryStatus:
        """How the boundary stands."""
        told = self._ask(
            "GET",
            "/api/v1/boundary/status",
        )
        return cast(answers.BoundaryStatus, told)

    def list_capabilities(self) -> answers.ListCapabilitiesAnswer:
        """What the boundary does, and where it is asked for."""
        told = self._ask(
            "GET",
            "/api/v1/boundary/capabilities",
        )
        return cast(answers.ListCapabilitiesAnswer, told)

    def list_records(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        mcp_server_id: str | None = None,
        policy_epoch: int | None = None,
        reason_code: str | None = None,
        receipt_id: str | None = None,
        tool_name: str | None = None,
        verdict: str | None = None,
    ) -> answers.ListRecordsAnswer:
        """A page of boundary records, oldest first."""
        query: Query = {
            "after": after,
            "before": before,
            "limit": limit,
            "mcp_server_id": mcp_server_id,
            "policy_epoch": policy_epoch,
            "reason_code": reason_code,
            "receipt_id": receipt_id,
            "tool_name": tool_name,
            "verdict": verdict,
        }
        told = self._ask(
            "GET",
            "/api/v1/boundary/records",
            query=query,
        )
        return cast(answers.ListRecordsAnswer, told)

    def verify_record(
        self,
        record_id: str,
        body: Mapping[str, Any] | None = None,
    ) -> answers.RecordVerification:
        """Check a record against its decision, its receipt, and the checkpoint above it."""
        told = self._ask(
            "POST",
            f"/api/v1/boundary/records/{part(record_id)}/verify",
            body=body or {},
        )
        return cast(answers.RecordVerification, told)

    def list_sessions(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
    ) -> answers.ListSessionsAnswer:
        """The sessions, in the order in which they were opened."""
        query: Query = {
            "after": after,
            "limit": limit,
        }
        told = self._ask(
            "GET",
            "/api/v1/sessions",
            query=query,
        )
        return cast(answers.ListSessionsAnswer, told)

    def list_graph_sessions(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
    ) -> answers.ListGraphSessionsAnswer:
        """The sessions of the ProofGraph: those above."""
        query: Query = {
            "after": after,
            "limit": limit,
        }
        told = self._ask(
            "GET",
            "/api/v1/proofgraph/sessions",
            query=query,
        )
        return cast(answers.ListGraphSessionsAnswer, told)

    def get_graph_session(
        self,
        session_id: str,
        *,
        after: int | None = None,
        limit: int | None = None,
        tenant: str | None = None,
    ) -> answers.GetGraphSessionAnswer:
        """A session, and its receipts in order, each with its node."""
        query: Query = {
            "after": after,
            "limit": limit,
            "tenant": tenant,
        }
        told = self._ask(
            "GET",
            f"/api/v1/proofgraph/sessions/{part(session_id)}",
            query=query,
        )
        return cast(answers.GetGraphSessionAnswer, told)

    def get_record(
        self,
        record_id: str,
    ) -> answers.BoundaryRecord:
        """One boundary record."""
        told = self._ask(
            "GET",
            f"/api/v1/boundary/records/{part(record_id)}",
        )
        return cast(answers.BoundaryRecord, told)

    def prove_inclusion(
        self,
        wanted: str,
    ) -> answers.Inclusion:
        """A receipt or boundary record, by id, with the proof that it lies under a checkpoint."""
        told = self._ask(
            "GET",
            f"/api/v1/boundary/proofs/{part(wanted)}",
        )
        return cast(answers.Inclusion, told)

    def list_checkpoints(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
    ) -> answers.ListCheckpointsAnswer:
        """The checkpoints, oldest first."""
        query: Query = {
            "after": after,
            "limit": limit,
        }
        told = self._ask(
            "GET",
            "/api/v1/boundary/checkpoints",
            query=query,
        )
        return cast(answers.ListCheckpointsAnswer, told)

    def take_checkpoint(
        self,
        body: Mapping[str, Any] | None = None,
    ) -> answers.CheckpointShown:
        """Take a checkpoint of everything so far."""
        told = self._ask(
            "POST",
            "/api/v1/boundary/checkpoints",
            body=body or {},
        )
        return cast(answers.CheckpointShown, told)

    def get_checkpoint(
        self,
        name: str,
    ) -> answers.CheckpointShown:
        """One checkpoint."""
        told = self._ask(
            "GET",
            f"/api/v1/boundary/checkpoints/{part(name)}",
        )
        return cast(answers.CheckpointShown, told)

    def get_checkpoint_note(
        self,
        name: str,
    ) -> str:
        """A checkpoint's signed note (c2sp.org/tlog-checkpoint)."""
        told = self._ask(
            "GET",
            f"/api/v1/boundary/checkpoints/{part(name)}/note",
        )
        return cast(str, told)

    def prove_consistency(
        self,
        name: str,
        *,
        since: int | None = None,
    ) -> answers.ProveConsistencyAnswer:
        """The proof that a checkpoint's trees begin with those of an earlier one."""
        query: Query = {
            "since": since,
        }
        told = self._ask(
            "GET",
            f"/api/v1/boundary/checkpoints/{part(name)}/consistency",
            query=query,
        )
        return cast(answers.ProveConsistencyAnswer, told)

    def verify_checkpoint(
        self,
        name: str,
        body: Mapping[str, Any] | None = None,
    ) -> answers.VerifyCheckpointAnswer:
        """Check a checkpoint against the one before it, and the rows between."""
        told = self._ask(
            "POST",
            f"/api/v1/boundary/checkpoints/{part(name)}/verify",
            body=body or {},
        )
        return cast(answers.VerifyCheckpointAnswer, told)

    def cosign_checkpoint(
        self,
        name: str,
        body: Mapping[str, Any],
    ) -> answers.CheckpointShown:
        """Take the cosignatures of known witnesses."""
        told = self._ask(
            "POST",
            f"/api/v1/boundary/checkpoints/{part(name)}/cosignatures",
            body=body,
        )
        return cast(answers.CheckpointShown, told)

    def verify_pack(
        self,
        body: Mapping[str, Any],
        *,
        log_id: str | None = None,
        genesis_key: str | None = None,
        execution_key: str | None = None,
        checkpoint: str | None = None,
    ) -> answers.VerifyPackAnswer:
        """Verify an evidence pack."""
        query: Query = {
            "log_id": log_id,
            "genesis_key": genesis_key,
            "execution_key": execution_key,
            "checkpoint": checkpoint,
        }
        told = self._ask(
            "POST",
            "/api/v1/evidence/verify",
            query=query,
            body=body,
        )
        return cast(answers.VerifyPackAnswer, told)

    def replay_pack(
        self,
        body: Mapping[str, Any],
        *,
        log_id: str | None = None,
        genesis_key: str | None = None,
        execution_key: str | None = None,
        checkpoint: str | None = None,
    ) -> answers.ReplayPackAnswer:
        """Verify an evidence pack, and judge its calls again."""
        query: Query = {
            "log_id": log_id,
            "genesis_key": genesis_key,
            "execution_key": execution_key,
            "checkpoint": checkpoint,
        }
        told = self._ask(
            "POST",
            "/api/v1/replay/verify",
            query=query,
            body=body,
        )
        return cast(answers.ReplayPackAnswer, told)

    def export_pack(
        self,
        *,
        session_id: str | None = None,
        tenant: str | None = None,
        from_ms: int | None = None,
        until_ms: int | None = None,
        whole: str | None = None,
        through: int | None = None,
        redact_facts: str | None = None,
    ) -> str:
        """Make an evidence pack."""
        query: Query = {
            "session_id": session_id,
            "tenant": tenant,
            "from_ms": from_ms,
            "until_ms": until_ms,
            "whole": whole,
            "through": through,
            "redact_facts": redact_facts,
        }
        told = self._ask(
            "GET",
            "/api/v1/evidence/export",
            query=query,
        )
        return cast(str, told)

    def make_pack(
        self,
        body: Mapping[str, Any] | None = None,
    ) -> str:
        """Make an evidence pack, likewise, and have an envelope signed around it."""
        told = self._ask(
            "POST",
            "/api/v1/evidence/export",
            body=body or {},
        )
        return cast(str, told)

    def list_envelopes(
        self,
        *,
        after: str | None = None,
        limit: int | None = None,
    ) -> answers.ListEnvelopesAnswer:
        """The manifests of the envelopes that the caller may read."""
        query: Query = {
            "after": after,
            "limit": limit,
        }
        told = self._ask(
            "GET",
            "/api/v1/evidence/envelopes",
            query=query,
        )
        return cast(answers.ListEnvelopesAnswer, told)

    def create_envelope(
        self,
        body: Mapping[str, Any],
    ) -> answers.CreateEnvelopeAnswer:
        """Sign an envelope around a receipt or checkpoint of this log, and keep it."""
        told = self._ask(
            "POST",
            "/api/v1/evidence/envelopes",
            body=body,
        )
        return cast(answers.CreateEnvelopeAnswer, told)

    def get_envelope(
        self,
        envelope_id: str,
    ) -> answers.GetEnvelopeAnswer:
        """One envelope, in base64, and its manifest."""
        told = self._ask(
            "GET",
            f"/api/v1/evidence/envelopes/{part(envelope_id)}",
        )
        return cast(answers.GetEnvelopeAnswer, told)

    def get_envelope_payload(
        self,
        envelope_id: str,
    ) -> dict[str, Any]:
        """What an envelope carries, byte for byte as it was signed."""
        told = self._ask(
            "GET",
            f"/api/v1/evidence/envelopes/{part(envelope_id)}/payload",
        )
        return cast(dict[str, Any], told)

    def verify_envelope(
        self,
        envelope_id: str,
        body: Mapping[str, Any] | None = None,
    ) -> answers.VerifyEnvelopeAnswer:
        """Verify an envelope by this log's keys, against the receipt or checkpoint of this log that it names."""
        told = self._ask(
            "POST",
            f"/api/v1/evidence/envelopes/{part(envelope_id)}/verify",
            body=body or {},
        )
        return cast(answers.VerifyEnvelopeAnswer, told)

    def list_approvals(
        self,
        *,
        state: str | None = None,
    ) -> answers.ListApprovalsAnswer:
        """Which calls wait for a human, and which waited."""
        query: Query = {
            "state": state,
        }
        told = self._ask(
            "GET",
            "/api/v1/approvals",
            query=query,
        )
        return cast(answers.ListApprovalsAnswer, told)

    def create_approval(
        self,
        body: Mapping[str, Any],
    ) -> answers.ApprovalShown | answers.Governed:
        """Ask in advance that a call be approved: it is judged, and never executed."""
        told = self._ask(
            "POST",
            "/api/v1/approvals",
            body=body,
        )
        return cast(answers.ApprovalShown | answers.Governed, told)

    def get_approval(
        self,
        approval_id: str,
    ) -> answers.ApprovalShown:
        """One approval."""
        told = self._ask(
            "GET",
            f"/api/v1/approvals/{part(approval_id)}",
        )
        return cast(answers.ApprovalShown, told)

    def challenge_approval(
        self,
        approval_id: str,
        body: Mapping[str, Any],
    ) -> answers.ChallengeApprovalAnswer:
        """Put a challenge to an approver's key."""
        told = self._ask(
            "POST",
            f"/api/v1/approvals/{part(approval_id)}/challenge",
            body=body,
        )
        return cast(answers.ChallengeApprovalAnswer, told)

    def approve_approval(
        self,
        approval_id: str,
        body: Mapping[str, Any],
    ) -> answers.ApprovalCeremony:
        """Take an approver's yes."""
        told = self._ask(
            "POST",
            f"/api/v1/approvals/{part(approval_id)}/approve",
            body=body,
        )
        return cast(answers.ApprovalCeremony, told)

    def deny_approval(
        self,
        approval_id: str,
        body: Mapping[str, Any],
    ) -> answers.ApprovalCeremony:
        """Take an approver's no."""
        told = self._ask(
            "POST",
            f"/api/v1/approvals/{part(approval_id)}/deny",
            body=body,
        )
        return cast(answers.ApprovalCeremony, told)

    def revoke_approval(
        self,
        approval_id: str,
        body: Mapping[str, Any],
    ) -> answers.ApprovalCeremony:
        """Take back what was not used yet."""
        told = self._ask(
            "POST",
            f"/api/v1/approvals/{part(approval_id)}/revoke",
            body=body,
        )
        return cast(answers.ApprovalCeremony, told)

    def dispute_approval(
        self,
        approval_id: str,
        body: Mapping[str, Any],
    ) -> answers.ApprovalCeremony:
        """Hold it back until its approvers have agreed anew."""
        told = self._ask(
            "POST",
            f"/api/v1/approvals/{part(approval_id)}/dispute",
            body=body,
        )
        return cast(answers.ApprovalCeremony, told)

    def override_approval(
        self,
        approval_id: str,
        body: Mapping[str, Any],
    ) -> answers.ApprovalCeremony:
        """Take an emergency key's yes; it owes a review."""
        told = self._ask(
            "POST",
            f"/api/v1/approvals/{part(approval_id)}/override",
            body=body,
        )
        return cast(answers.ApprovalCeremony, told)

    def review_approval(
        self,
        approval_id: str,
        body: Mapping[str, Any],
    ) -> answers.ApprovalCeremony:
        """Take an approver's review of an override."""
        told = self._ask(
            "POST",
            f"/api/v1/approvals/{part(approval_id)}/review",
            body=body,
        )
        return cast(answers.ApprovalCeremony, told)

    def list_delegations(self) -> answers.ListDelegationsAnswer:
        """The delegations, and the log that a new one must name."""
        told = self._ask(
            "GET",
            "/api/v1/delegations",
        )
        return cast(answers.ListDelegationsAnswer, told)

    def create_delegation(
        self,
        body: Mapping[str, Any],
    ) -> answers.Delegation:
        """Bind a delegation that its delegator has signed."""
        told = self._ask(
            "POST",
            "/api/v1/delegations",
            body=body,
        )
        return cast(answers.Delegation, told)

    def get_delegation(
        self,
        name: str,
    ) -> answers.Delegation:
        """One delegation."""
        told = self._ask(
            "GET",
            f"/api/v1/delegations/{part(name)}",
        )
        return cast(answers.Delegation, told)

    def revoke_delegation(
        self,
        name: str,
        body: Mapping[str, Any],
    ) -> answers.Delegation:
        """End a delegation, as its delegator or the emergency key signed."""
        told = self._ask(
            "POST",
            f"/api/v1/delegations/{part(name)}/revoke",
            body=body,
        )
        return cast(answers.Delegation, told)

    def list_budgets(self) -> answers.ListBudgetsAnswer:
        """What every budget allows, and what is used of it."""
        told = self._ask(
            "GET",
            "/api/v1/budgets",
        )
        return cast(answers.ListBudgetsAnswer, told)

    def set_budget(
        self,
        name: str,
        body: Mapping[str, Any],
    ) -> answers.BudgetCeiling:
        """Lower or add one budget by a signed overlay."""
        told = self._ask(
            "PUT",
            f"/api/v1/budgets/{part(name)}",
            body=body,
        )
        return cast(answers.BudgetCeiling, told)

    def get_policy(self) -> answers.PolicyLayers:
        """The ceilings in force, a raise that waits, and every overlay."""
        told = self._ask(
            "GET",
            "/api/v1/policy",
        )
        return cast(answers.PolicyLayers, told)

    def add_overlay(
        self,
        body: Mapping[str, Any],
    ) -> answers.PolicyLayers:
        """Put a signed overlay in force."""
        told = self._ask(
            "POST",
            "/api/v1/policy/overlays",
            body=body,
        )
        return cast(answers.PolicyLayers, told)

    def remove_overlay(
        self,
        name: str,
        body: Mapping[str, Any],
    ) -> answers.PolicyLayers:
        """Take an overlay out of force."""
        told = self._ask(
            "POST",
            f"/api/v1/policy/overlays/{part(name)}/remove",
            body=body,
        )
        return cast(answers.PolicyLayers, told)

    def cancel_raise(
        self,
        body: Mapping[str, Any],
    ) -> answers.PolicyLayers:
        """Give up the raise of ceilings that waits."""
        told = self._ask(
            "POST",
            "/api/v1/policy/p0/cancel",
            body=body,
        )
        return cast(answers.PolicyLayers, told)

    def authz_health(self) -> answers.AuthzHealth:
        """How the relationships stand."""
        told = self._ask(
            "GET",
            "/api/v1/authz/health",
        )
        return cast(answers.AuthzHealth, told)

    def authz_check(
        self,
        *,
        tuple_: str | None = None,
    ) -> answers.AuthzAnswer:
        """What the relationships say of one."""
        query: Query = {
            "tuple": tuple_,
        }
        told = self._ask(
            "GET",
            "/api/v1/authz/check",
            query=query,
        )
        return cast(answers.AuthzAnswer, told)

    def list_authz_snapshots(
        self,
        *,
        before: int | None = None,
        limit: int | None = None,
        object_: str | None = None,
        subject: str | None = None,
    ) -> answers.ListAuthzSnapshotsAnswer:
        """What they said when calls were decided, the latest page."""
        query: Query = {
            "before": before,
            "limit": limit,
            "object": object_,
            "subject": subject,
        }
        told = self._ask(
            "GET",
            "/api/v1/authz/snapshots",
            query=query,
        )
        return cast(answers.ListAuthzSnapshotsAnswer, told)

    def get_authz_snapshot(
        self,
        name: str,
    ) -> answers.AuthzSnapshot:
        """One, by its id or its hash."""
        told = self._ask(
            "GET",
            f"/api/v1/authz/snapshots/{part(name)}",
        )
        return cast(answers.AuthzSnapshot, told)

    def write_authz_tuples(
        self,
        body: Mapping[str, Any],
    ) -> answers.AuthzHealth:
        """Obey a signed change of relationships."""
        told = self._ask(
            "POST",
            "/api/v1/authz/tuples",
            body=body,
        )
        return cast(answers.AuthzHealth, told)

    def list_trust_events(
        self,
        *,
        after: int | None = None,
        at_lamport: int | None = None,
        limit: int | None = None,
    ) -> answers.ListTrustEventsAnswer:
        """The signed events that say which keys count."""
        query: Query = {
            "after": after,
            "at_lamport": at_lamport,
            "limit": limit,
        }
        told = self._ask(
            "GET",
            "/api/v1/trust/events",
            query=query,
        )
        return cast(answers.ListTrustEventsAnswer, told)

    def add_trust_event(
        self,
        body: Mapping[str, Any],
    ) -> answers.AddTrustEventAnswer:
        """Take an event that a trust-admin key signed."""
        told = self._ask(
            "POST",
            "/api/v1/trust/events",
            body=body,
        )
        return cast(answers.AddTrustEventAnswer, told)

    def list_trust_keys(
        self,
        *,
        at_lamport: int | None = None,
    ) -> answers.ListTrustKeysAnswer:
        """Every key ever known, and what became of it."""
        query: Query = {
            "at_lamport": at_lamport,
        }
        told = self._ask(
            "GET",
            "/api/v1/trust/keys",
            query=query,
        )
        return cast(answers.ListTrustKeysAnswer, told)

    def get_trust_snapshot(
        self,
        *,
        at_lamport: int | None = None,
    ) -> answers.TrustSnapshot:
        """The registry as the fold of its events."""
        query: Query = {
            "at_lamport": at_lamport,
        }
        told = self._ask(
            "GET",
            "/api/v1/trust/snapshot",
            query=query,
        )
        return cast(answers.TrustSnapshot, told)

    def get_freeze(self) -> answers.Stops:
        """The stops in force, and the sequence that the next command follows."""
        told = self._ask(
            "GET",
            "/api/v1/freeze",
        )
        return cast(answers.Stops, told)

    def freeze(
        self,
        body: Mapping[str, Any],
    ) -> answers.Stops:
        """Obey a command that the emergency key signed."""
        told = self._ask(
            "POST",
            "/api/v1/freeze",
            body=body,
        )
        return cast(answers.Stops, told)

    def open_session(
        self,
        body: Mapping[str, Any] | None = None,
    ) -> answers.Session:
        """Open a session."""
        told = self._ask(
            "POST",
            "/api/v1/sessions",
            body=body or {},
        )
        return cast(answers.Session, told)

    def get_session(
        self,
        session_id: str,
        *,
        tenant: str | None = None,
    ) -> answers.Session:
        """Whose it is, since when, and its clock."""
        query: Query = {
            "tenant": tenant,
        }
        told = self._ask(
            "GET",
            f"/api/v1/sessions/{part(session_id)}",
            query=query,
        )
        return cast(answers.Session, told)

    def close_session(
        self,
        session_id: str,
    ) -> answers.Session:
        """Close a session for ever."""
        told = self._ask(
            "DELETE",
            f"/api/v1/sessions/{part(session_id)}",
        )
        return cast(answers.Session, told)

    def list_agents(
        self,
        *,
        principal: str | None = None,
        source: str | None = None,
        tenant: str | None = None,
    ) -> answers.ListAgentsAnswer:
        """Who is known, and whose word counts."""
        query: Query = {
            "principal": principal,
            "source": source,
            "tenant": tenant,
        }
        told = self._ask(
            "GET",
            "/api/v1/identity/agents",
            query=query,
        )
        return cast(answers.ListAgentsAnswer, told)

    def get_agent(
        self,
        agent_id: str,
    ) -> answers.Agent:
        """One identity and its latest sessions."""
        told = self._ask(
            "GET",
            f"/api/v1/identity/agents/{part(agent_id)}",
        )
        return cast(answers.Agent, told)

    def list_sandbox_profiles(self) -> answers.ListSandboxProfilesAnswer:
        """The profiles, and what stands behind each."""
        told = self._ask(
            "GET",
            "/api/v1/sandbox/profiles",
        )
        return cast(answers.ListSandboxProfilesAnswer, told)

    def list_sandbox_grants(self) -> answers.ListSandboxGrantsAnswer:
        """What the policy grants to guests, and the drafts."""
        told = self._ask(
            "GET",
            "/api/v1/sandbox/grants",
        )
        return cast(answers.ListSandboxGrantsAnswer, told)

    def draft_sandbox_grant(
        self,
        body: Mapping[str, Any],
    ) -> answers.SandboxGrant:
        """Keep a draft of a grant: it grants nothing."""
        told = self._ask(
            "POST",
            "/api/v1/sandbox/grants",
            body=body,
        )
        return cast(answers.SandboxGrant, told)

    def get_sandbox_grant(
        self,
        grant_id: str,
    ) -> answers.SandboxGrant:
        """One grant."""
        told = self._ask(
            "GET",
            f"/api/v1/sandbox/grants/{part(grant_id)}",
        )
        return cast(answers.SandboxGrant, told)

    def verify_sandbox_grant(
        self,
        grant_id: str,
        body: Mapping[str, Any] | None = None,
    ) -> answers.VerifySandboxGrantAnswer:
        """Whether it is what its hash says, and whether the policy has it."""
        told = self._ask(
            "POST",
            f"/api/v1/sandbox/grants/{part(grant_id)}/verify",
            body=body or {},
        )
        return cast(answers.VerifySandboxGrantAnswer, told)

    def inspect_sandbox_grant(
        self,
        body: Mapping[str, Any],
    ) -> answers.SandboxPreflight:
        """What stands against a dispatch under a grant."""
        told = self._ask(
            "POST",
            "/api/v1/sandbox/grants/inspect",
            body=body,
        )
        return cast(answers.SandboxPreflight, told)

    def preflight_sandbox(
        self,
        body: Mapping[str, Any],
    ) -> answers.SandboxPreflight:
        """The same of a grant that is kept."""
        told = self._ask(
            "POST",
            "/api/v1/sandbox/preflight",
            body=body,
        )
        return cast(answers.SandboxPreflight, told)

    def list_mcp_servers(self) -> answers.ListMcpServersAnswer:
        """The MCP servers, and the next command's sequence."""
        told = self._ask(
            "GET",
            "/api/v1/mcp/registry",
        )
        return cast(answers.ListMcpServersAnswer, told)

    def command_mcp_server(
        self,
        body: Mapping[str, Any],
    ) -> answers.McpServer:
        """Obey a signed command about whichever server it names."""
        told = self._ask(
            "POST",
            "/api/v1/mcp/registry",
            body=body,
        )
        return cast(answers.McpServer, told)

    def get_mcp_server(
        self,
        server_id: str,
    ) -> answers.McpServer:
        """One server."""
        told = self._ask(
            "GET",
            f"/api/v1/mcp/registry/{part(server_id)}",
        )
        return cast(answers.McpServer, told)

    def approve_mcp_server(
        self,
        server_id: str,
        body: Mapping[str, Any],
    ) -> answers.McpServer:
        """Obey a signed approval."""
        told = self._ask(
            "POST",
            f"/api/v1/mcp/registry/{part(server_id)}/approve",
            body=body,
        )
        return cast(answers.McpServer, told)

    def revoke_mcp_server(
        self,
        server_id: str,
        body: Mapping[str, Any],
    ) -> answers.McpServer:
        """Obey a signed revocation."""
        told = self._ask(
            "POST",
            f"/api/v1/mcp/registry/{part(server_id)}/revoke",
            body=body,
        )
        return cast(answers.McpServer, told)

    def scan_mcp_listing(
        self,
        body: Mapping[str, Any],
    ) -> answers.ScanMcpListingAnswer:
        """Look through a listing: nothing is started, and nothing is remembered."""
        told = self._ask(
            "POST",
            "/api/v1/mcp/scan",
            body=body,
        )
        return cast(answers.ScanMcpListingAnswer, told)

    def authorize_mcp_call(
        self,
        body: Mapping[str, Any],
    ) -> answers.AuthorizeMcpCallAnswer:
        """Whether a call would be allowed, with its receipt; nothing is dispatched."""
        told = self._ask(
            "POST",
            "/api/v1/mcp/authorize-call",
            body=body,
        )
        return cast(answers.AuthorizeMcpCallAnswer, told)

    def list_auth_profiles(self) -> answers.ListAuthProfilesAnswer:
        """Whose access tokens open the MCP door."""
        told = self._ask(
            "GET",
            "/api/v1/mcp/auth-profiles",
        )
        return cast(answers.ListAuthProfilesAnswer, told)

    def get_auth_profile(
        self,
        profile_id: str,
    ) -> answers.AuthProfile:
        """One profile."""
        told = self._ask(
            "GET",
            f"/api/v1/mcp/auth-profiles/{part(profile_id)}",
        )
        return cast(answers.AuthProfile, told)

    def list_connectors(self) -> answers.ListConnectorsAnswer:
        """The connectors, why one is halted, and why one cannot be started or reached, and since when."""
        told = self._ask(
            "GET",
            "/api/v1/connectors",
        )
        return cast(answers.ListConnectorsAnswer, told)

    def repin_connector(
        self,
        name: str,
        body: Mapping[str, Any] | None = None,
    ) -> answers.ConnectorPins:
        """Draft what an MCP server's pins would have to be: only a signed policy puts them in force."""
        told = self._ask(
            "POST",
            f"/api/v1/connectors/{part(name)}/repin",
            body=body or {},
        )
        return cast(answers.ConnectorPins, told)

    def resume_connector(
        self,
        name: str,
        body: Mapping[str, Any],
    ) -> answers.Connector:
        """Let a halted connector serve again."""
        told = self._ask(
            "POST",
            f"/api/v1/connectors/{part(name)}/resume",
            body=body,
        )
        return cast(answers.Connector, told)

    def list_acts(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
    ) -> answers.ListActsAnswer:
        """Who did what: every act of administration, in order."""
        query: Query = {
            "after": after,
            "limit": limit,
        }
        told = self._ask(
            "GET",
            "/api/v1/audit",
            query=query,
        )
        return cast(answers.ListActsAnswer, told)

    def list_negative_vectors(self) -> answers.ListNegativeVectorsAnswer:
        """The vectors of the ten fail-closed cases."""
        told = self._ask(
            "GET",
            "/api/v1/conformance/negative",
        )
        return cast(answers.ListNegativeVectorsAnswer, told)

    def list_vectors(
        self,
        *,
        category: str | None = None,
        code: str | None = None,
        level: str | None = None,
    ) -> answers.ListVectorsAnswer:
        """Every vector: what is done to a server, and what must come of it."""
        query: Query = {
            "category": category,
            "code": code,
            "level": level,
        }
        told = self._ask(
            "GET",
            "/api/v1/conformance/vectors",
            query=query,
        )
        return cast(answers.ListVectorsAnswer, told)

    def run_conformance(
        self,
        body: Mapping[str, Any] | None = None,
    ) -> answers.RunConformanceAnswer:
        """Do to servers of this program's own what the vectors say; the running kernel is not touched."""
        told = self._ask(
            "POST",
            "/api/v1/conformance/run",
            body=body or {},
        )
        return cast(answers.RunConformanceAnswer, told)

    def list_reports(self) -> answers.ListReportsAnswer:
        """The reports that are kept, the latest first, and which of them hold."""
        told = self._ask(
            "GET",
            "/api/v1/conformance/reports",
        )
        return cast(answers.ListReportsAnswer, told)

    def get_report(
        self,
        report_id: str,
    ) -> answers.GetReportAnswer:
        """One signed report."""
        told = self._ask(
            "GET",
            f"/api/v1/conformance/reports/{part(report_id)}",
        )
        return cast(answers.GetReportAnswer, told)

    def otel_config(self) -> answers.OtelConfigAnswer:
        """A configuration for an OpenTelemetry Collector that fits the running settings."""
        told = self._ask(
            "GET",
            "/api/v1/telemetry/otel/config",
        )
        return cast(answers.OtelConfigAnswer, told)

    def export_telemetry(
        self,
        body: Mapping[str, Any] | None = None,
    ) -> answers.ExportTelemetryAnswer:
        """Receipts as log records in OTLP/JSON, oldest first."""
        told = self._ask(
            "POST",
            "/api/v1/telemetry/export",
            body=body or {},
        )
        return cast(answers.ExportTelemetryAnswer, told)

    def list_coexistence(self) -> answers.ListCoexistenceAnswer:
        """What HELM owns beside other programs, and what it does not."""
        told = self._ask(
            "GET",
            "/api/v1/coexistence/capabilities",
        )
        return cast(answers.ListCoexistenceAnswer, told)

    def list_keys(
        self,
        *,
        principal: str | None = None,
        state: str | None = None,
        tenant: str | None = None,
    ) -> answers.ListKeysAnswer:
        """The bearer keys, without a hash of any."""
        query: Query = {
            "principal": principal,
            "state": state,
            "tenant": tenant,
        }
        told = self._ask(
            "GET",
            "/api/v1/keys",
            query=query,
        )
        return cast(answers.ListKeysAnswer, told)

    def issue_key(
        self,
        body: Mapping[str, Any],
    ) -> answers.IssueKeyAnswer:
        """Issue a bearer key: it is told here, and never again."""
        told = self._ask(
            "POST",
            "/api/v1/keys",
            body=body,
        )
        return cast(answers.IssueKeyAnswer, told)

    def get_key(
        self,
        key_id: str,
    ) -> answers.BearerKey:
        """One bearer key."""
        told = self._ask(
            "GET",
            f"/api/v1/keys/{part(key_id)}",
        )
        return cast(answers.BearerKey, told)

    def revoke_key(
        self,
        key_id: str,
        body: Mapping[str, Any],
    ) -> answers.BearerKey:
        """Take a bearer key back for ever, and end what it opened."""
        told = self._ask(
            "POST",
            f"/api/v1/keys/{part(key_id)}/revoke",
            body=body,
        )
        return cast(answers.BearerKey, told)
