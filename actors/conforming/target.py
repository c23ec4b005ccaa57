"""What a run must know of the servers that it tests: where they are, whose keys open them, which keys it may trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.evidence.trust_root import TrustRoot

MAX_BYTES: Final = 1024 * 1024
"""Longest target file (T4)."""

AGENT, OPERATOR = "agent", "operator"
CALLERS: Final = (AGENT, "intruder", "cleared", "delegate")
"""Principals of the tenant `default` that hold keys."""


@attrs.frozen(kw_only=True)
class ServerUnderTest:
    """One server. A key file that is "" is one that the caller does not have: what needs it is skipped, aloud."""

    url: str
    log_id: str
    execution_key: str
    keys: Mapping[str, str] = attrs.field(repr=False)
    """Bearer keys, by principal; the operator's is an admin key."""
    policy: str = ""
    """The policy file that it is served with: what must be bound of it is then computed, and not only looked for."""
    emergency_key: str = ""
    delegation_key: str = ""
    approval_key: str = ""
    data_dir: str = ""
    """Where its data directory is, on this machine."""
    process: int = 0
    """Its process id, where it may be killed."""

    @property
    def root(self) -> TrustRoot:
        """What its receipts are held to. Raises Invalid."""
        return TrustRoot(log_id=self.log_id, execution_key=self.execution_key)


@attrs.frozen(kw_only=True)
class Target:
    """Everything that is tested, and where the counterpart is to be."""

    counterpart: str
    """HOST:PORT, as the conformance policy of the servers names it."""
    servers: Mapping[str, ServerUnderTest]

    @property
    def address(self) -> tuple[str, int]:
        """Where the counterpart listens. Raises Invalid."""
        host, _, port = self.counterpart.rpartition(":")
        if not host or not port.isdecimal():
            raise Invalid("is not HOST:PORT", "counterpart of the target", "write what the policy names")
        return host, int(port)

    def body(self) -> dict[str, Any]:
        """Return it as the JSON object of a target file."""
        return {"counterpart": self.counterpart, "servers": {n: attrs.asdict(one) for n, one in self.servers.items()}}


def read_target(file: Path) -> Target:
    """Return the target that a file describes. Raises Invalid."""
    try:
        raw = file.read_bytes()
        if len(raw) > MAX_BYTES:
            raise Invalid(f"is longer than {MAX_BYTES} bytes", str(file))
        body = json.loads(raw)
        servers = {name: server_of(one, file.parent) for name, one in body.pop("servers").items()}
        return Target(**body, servers=servers)
    except OSError as problem:
        hint = "`helm conform setup` writes one; docs/conformance.md says what stands in it"
        raise Invalid(f"cannot be read: {problem.strerror}", str(file), hint) from problem
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise Invalid(f"is no target: {problem}", str(file), "docs/conformance.md says what stands in it") from problem


def server_of(body: Mapping[str, Any], base: Path) -> ServerUnderTest:
    """Return one server; its files are relative to the target's own directory."""
    files = ("policy", "emergency_key", "delegation_key", "approval_key", "data_dir")
    return ServerUnderTest(**{**body, **{name: str(base / body[name]) for name in files if body.get(name)}})
