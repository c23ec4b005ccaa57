"""What the boundary states of itself: how it stands now, and what it can be asked, route by route."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import attrs

import helm
from helm.conformance.report import NO_LEVEL
from helm.contracts.form import JSONValue
from helm.guardian.ceremony import WAITING
from helm.guardian.connection import WasmConnection
from helm.guardian.memory import Memory
from helm.guardian.policy import NO_POLICY, Policy
from helm.guardian.relations import Question, look
from helm.mcp.registry import registry

NOBODY: Final = Question(object="none:none", relation="none", subject="user:none")
"""Asks for nothing: how the relationships stand is told with any answer."""


def moment(at_ms: int) -> str:
    """Return an hour as people and programs read it (RFC 3339, UTC)."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@attrs.frozen(kw_only=True)
class Standing:
    """What a kernel, or a data directory without one, knows of itself."""

    memory: Memory = attrs.field(repr=False)
    policy: Policy = attrs.field(repr=False)
    log_id: str
    mode: str
    """`kernel`, or `standalone` for a data directory that is only read."""
    refusing: str
    """Why no call is judged, "" where calls are."""
    signer: str
    store: str
    last_checkpoint_hash: str
    now_ms: int


def status(at: Standing) -> dict[str, JSONValue]:
    """Return the BoundaryStatus: a word for each part, and why where the word is not enough."""
    parts = components(at)
    waiting = sum(one.state in WAITING for one in at.memory.approvals.ceremonies.values())
    servers = registry(at.policy, at.memory.servers, at.log_id, at.now_ms)["servers"]
    told: dict[str, JSONValue] = {
        **{name: state for name, (state, _) in parts.items()},
        "components": [{"detail": why, "name": name, "state": state} for name, (state, why) in parts.items()],
        "mode": at.mode,
        "open_approval_count": waiting,
        "quarantined_mcp_count": sum(row["state"] == "quarantined" for row in servers),
        "receipt_signer": at.signer,
        "receipt_store": at.store,
        "status": word_of(at),
        "updated_at": moment(at.now_ms),
        "version": helm.__version__,
    }
    if at.last_checkpoint_hash:
        told["last_checkpoint_hash"] = at.last_checkpoint_hash
    return told


def word_of(at: Standing) -> str:
    """Return whether calls are judged, in one word."""
    if at.refusing:
        return "refusing"
    if "global" in {scope for scope, _ in at.memory.freezes.in_force}:
        return "frozen"
    return "ready" if at.mode == "kernel" else "at-rest"


def components(at: Standing) -> dict[str, tuple[str, str]]:
    """Return the state of each part, and a word more about it."""
    memory, policy = at.memory, at.policy
    servers = registry(policy, memory.servers, at.log_id, at.now_ms)["servers"]
    approved = sum(row["state"] == "approved" for row in servers)
    guests = sum(isinstance(one, WasmConnection) for one in policy.connectors.values())
    seen = look(memory.relations, policy.authz, NOBODY, at.now_ms)
    related = "unused" if not memory.relations.count else "mismatch" if seen.model_mismatch else "ready"
    return {
        "authz": ("stale" if related == "ready" and seen.stale else related, f"{memory.relations.count} tuples"),
        "checkpoint_log": ("ready" if at.last_checkpoint_hash else "empty", at.last_checkpoint_hash),
        "evidence_verifier": ("ready", "offline: helm verify PACK asks no kernel"),
        "mcp_firewall": ("ready" if servers else "unused", f"{approved} of {len(servers)} servers approved"),
        "pdp": ("absent", "no policy") if policy is NO_POLICY else ("ready", f"policy epoch {policy.epoch}"),
        "sandbox": ("ready" if guests else "unused", f"{guests} guests granted"),
    }


@attrs.frozen(kw_only=True)
class Capability:
    """One thing that the boundary does, and where it is asked for."""

    capability_id: str
    category: str
    authority: str
    routes: tuple[str, ...]
    """The rows of the table, by name."""
    commands: tuple[str, ...]
    bindings: tuple[str, ...]
    """The members of a receipt, or of its record, that hold what it did."""
    notes: str


CAPABILITIES: Final = (
    Capability(
        capability_id="boundary-records",
        category="records",
        authority="native-receipt",
        routes=("list_records", "get_record", "verify_record", "list_checkpoints", "verify_checkpoint"),
        commands=("boundary records", "boundary get", "boundary verify", "boundary checkpoint"),
        bindings=("record_hash", "decision_id", "receipt_id"),
        notes="One record per decision, sealed before anything is dispatched.",
    ),
    Capability(
        capability_id="mcp-firewall",
        category="mcp",
        authority="pre-dispatch-pep",
        routes=("list_mcp_servers", "approve_mcp_server", "revoke_mcp_server", "authorize_mcp_call", "mcp_message"),
        commands=("mcp list", "mcp approve", "mcp revoke", "mcp wrap"),
        bindings=("mcp_server_id", "pinned_schema_hash", "oauth_resource", "oauth_scopes"),
        notes="A server is quarantined until an approver's key says otherwise, for the pinned tools alone.",
    ),
    Capability(
        capability_id="sandbox-grants",
        category="sandbox",
        authority="native-grant",
        routes=("list_sandbox_grants", "get_sandbox_grant", "verify_sandbox_grant", "preflight_sandbox"),
        commands=("sandbox list", "sandbox get", "sandbox verify", "sandbox preflight"),
        bindings=("sandbox_grant_hash",),
        notes="The signed policy alone grants; a draft grants nothing.",
    ),
    Capability(
        capability_id="authz-snapshots",
        category="authz",
        authority="pdp-snapshot",
        routes=("authz_health", "authz_check", "list_authz_snapshots", "get_authz_snapshot"),
        commands=("authz health", "authz check", "authz snapshots", "authz get"),
        bindings=("authz_snapshot_hash",),
        notes="The walk over the relationships that a call was decided with, bound by its hash.",
    ),
    Capability(
        capability_id="evidence-envelopes",
        category="evidence",
        authority="native-evidencepack",
        routes=(
            "list_envelopes",
            "create_envelope",
            "get_envelope",
            "get_envelope_payload",
            "verify_envelope",
            "make_pack",
        ),
        commands=("evidence export", "evidence envelope create", "evidence envelope verify", "verify", "pack verify"),
        bindings=("receipt_id", "intent_node", "record_hash"),
        notes="The pack is what counts; whatever wraps it says that it is not authoritative.",
    ),
    Capability(
        capability_id="telemetry-coexistence",
        category="telemetry",
        authority="non-authoritative",
        routes=("metrics", "otel_config", "export_telemetry", "list_coexistence"),
        commands=("telemetry otel-config", "coexistence manifest", "doctor"),
        bindings=(),
        notes="Figures, spans and exports for onlookers. Where they differ from a receipt, the receipt is right.",
    ),
)
"""In the order of the seeds. A test finds every route in the table, and every command in the program."""


def capability_body(one: Capability, paths: tuple[str, ...], level: str) -> dict[str, JSONValue]:
    """Return a BoundaryCapability; `paths` are the methods and paths of its routes, `level` what a report proves."""
    return {
        "authority": one.authority,
        "capability_id": one.capability_id,
        "category": one.category,
        "cli_commands": [f"helm {command}" for command in one.commands],
        "conformance_level": level if one.authority != "non-authoritative" else NO_LEVEL,
        "notes": one.notes,
        "public_routes": list(paths),
        "receipt_bindings": list(one.bindings),
        "status": "available",
    }
