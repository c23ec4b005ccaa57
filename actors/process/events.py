"""What happens to HELM itself, by name: a message of the log that a program may wait for says which event it is."""

from __future__ import annotations

from collections.abc import Mapping

from helm.contracts.form import JSONValue

SERVING = "serving"
STOPPING = "stopping"
KERNEL_STOPPED = "kernel_stopped"
POLICY_ACTIVATED = "policy_activated"
POLICY_REFUSED = "policy_refused"
CONNECTION_FAILED = "connection_failed"


def event(name: str, **members: JSONValue) -> Mapping[str, JSONValue]:
    """Return what a message says beside its words, for `extra`: which event it is, and its members by name."""
    return {"event": name, "members": members}
