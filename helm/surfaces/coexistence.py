"""What HELM owns beside other programs, and what it does not: derived from the table of capabilities, not told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from helm import __version__
from helm.contracts.form import JSONValue
from helm.surfaces.boundary import CAPABILITIES, Capability, Standing, moment

VERSION: Final = "helm.coexistence/1"

NON_AUTHORITATIVE: Final = "non-authoritative"

AUTHORITIES: Final = {
    "native-receipt": "The signed receipt with its boundary record is the record of what was decided and done.",
    "pre-dispatch-pep": "Nothing is dispatched that it refused; the receipt says so.",
    "native-grant": "What a guest may touch is granted by the signed policy alone, and bound into its receipt.",
    "pdp-snapshot": "What a decision saw of the relationships, bound by its hash.",
    "native-evidencepack": "The pack proves itself offline; what wraps it says of itself that it does not.",
    NON_AUTHORITATIVE: "Told for convenience. Where it differs from a receipt, the receipt is right.",
}
"""What each authority of the table means."""


@attrs.frozen(kw_only=True)
class Neighbour:
    """A kind of program that HELM runs beside: which capabilities border on it, and who decides what."""

    kind: str
    borders: tuple[str, ...]
    owns: str
    """What is its own: HELM neither does it nor vouches for it."""
    word: str
    """What its word is to HELM: "input" is weighed, "narrowing" may refuse and never allow, "none" is not looked at."""


NEIGHBOURS: Final = (
    Neighbour(
        kind="model-guardrail",
        borders=("boundary-records",),
        owns="what a model reads and writes before it calls a tool",
        word="none",
    ),
    Neighbour(
        kind="api-gateway",
        borders=("boundary-records", "mcp-firewall"),
        owns="routing, quotas and TLS in front of HELM",
        word="none",
    ),
    Neighbour(
        kind="mcp-gateway",
        borders=("mcp-firewall",),
        owns="discovery of servers, and their credentials",
        word="none",
    ),
    Neighbour(
        kind="identity-provider",
        borders=("mcp-firewall", "authz-snapshots"),
        owns="who somebody is; HELM checks the token against the keys of the policy",
        word="input",
    ),
    Neighbour(
        kind="policy-decision-point",
        borders=("authz-snapshots", "boundary-records"),
        owns="its own policy; its answer stands in the decision",
        word="narrowing",
    ),
    Neighbour(
        kind="sandbox-runtime",
        borders=("sandbox-grants",),
        owns="isolation of what HELM did not start",
        word="none",
    ),
    Neighbour(
        kind="observability",
        borders=("telemetry-coexistence",),
        owns="storage, dashboards and alerts of what it is told",
        word="none",
    ),
    Neighbour(
        kind="evidence-archive",
        borders=("evidence-envelopes",),
        owns="keeping packs and envelopes; it needs no trust to do so",
        word="none",
    ),
    Neighbour(
        kind="host-recorder",
        borders=("evidence-envelopes",),
        owns="what a host was seen to do; HELM compares it with its receipts and reports drift",
        word="input",
    ),
)


def manifest(at: Standing, paths_of: Callable[[Capability], tuple[str, ...]]) -> dict[str, JSONValue]:
    """Return the manifest of an installation as it stands; `paths_of` a capability are its methods and paths."""
    return {
        "authorities": [{"authority": name, "means": means} for name, means in sorted(AUTHORITIES.items())],
        "does_not_own": [
            {"borders": list(one.borders), "kind": one.kind, "owned_by_it": one.owns, "word": one.word}
            for one in NEIGHBOURS
        ],
        "manifest": VERSION,
        "mode": at.mode,
        "owns": [*owned(paths_of)],
        "roots": roots(at),
        "tells": [scope(one, paths_of) for one in CAPABILITIES if one.authority == NON_AUTHORITATIVE],
        "updated_at": moment(at.now_ms),
        "version": __version__,
    }


def owned(paths_of: Callable[[Capability], tuple[str, ...]]) -> Iterator[JSONValue]:
    """Yield every capability whose word counts."""
    for one in CAPABILITIES:
        if one.authority != NON_AUTHORITATIVE:
            yield scope(one, paths_of)


def scope(one: Capability, paths_of: Callable[[Capability], tuple[str, ...]]) -> dict[str, JSONValue]:
    """Return what a capability covers, by whose authority, and where a receipt holds it."""
    return {
        "authority": one.authority,
        "capability_id": one.capability_id,
        "category": one.category,
        "cli_commands": [f"helm {command}" for command in one.commands],
        "public_routes": list(paths_of(one)),
        "receipt_bindings": list(one.bindings),
    }


def roots(at: Standing) -> dict[str, JSONValue]:
    """Return what the receipts of this installation are held against, whatever anybody else says of them."""
    policy = at.policy
    return {
        "last_checkpoint_hash": at.last_checkpoint_hash,
        "log_id": at.log_id,
        "policy_epoch": policy.epoch,
        "policy_hash": policy.policy_hash,
        "receipt_signer": at.signer,
        "receipt_store": at.store,
    }
