"""What a kernel notes of its own start, and of its keys."""

from __future__ import annotations

from helm.contracts.form import JSONValue
from helm.guardian.memory import Boot
from helm.proofgraph.node import Draft, NodeKind
from helm.trust.event import TrustEvent, to_payload


def started(boot: Boot, now_ms: int) -> dict[str, JSONValue]:
    """Return the payload of a kernel's start: its epoch fences out every earlier kernel of this log."""
    return {
        "fingerprint": boot.fingerprint,
        "kernel_epoch": boot.kernel_epoch,
        "started_at_ms": now_ms,
        "type": "KERNEL_STARTED",
    }


def trust_draft(event: TrustEvent) -> Draft:
    """Return the node of a trust event."""
    return Draft(kind=NodeKind.TRUST_EVENT.value, payload=to_payload(event))
