"""The events of the kernel's own, and what a reader can check of them."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.evidence.payloads import OF_LOG, OF_SESSION
from helm.guardian.freezes import FreezeCommand, Freezes, check_command
from helm.guardian.servers import ServerCommand, Servers, check_server_command
from helm.trust.registry import Registry
from helm.wire import structure


def check_event(payload: dict[str, JSONValue], *, in_session: bool, where: str) -> str:
    """Return the type of an event that says exactly what its type says. Raises Invalid."""
    kind = payload.get("type")
    shape = (OF_SESSION if in_session else OF_LOG).get(kind) if type(kind) is str else None
    if shape is None:
        raise Invalid(f"an event of unknown type {kind!r}", where, "a newer HELM wrote this log: use it")
    shape.check(payload, where)
    return str(kind)


@attrs.define
class Control:
    """What the control chain has come to."""

    freezes: Freezes = attrs.field(factory=Freezes)
    servers: Servers = attrs.field(factory=Servers)
    kernel_epoch: int = 0

    def start(self, payload: dict[str, JSONValue], where: str) -> None:
        """Take a kernel's start. Raises Invalid unless its epoch is the next: it fences earlier kernels out."""
        if payload["kernel_epoch"] != self.kernel_epoch + 1:
            what = f"kernel epoch {payload['kernel_epoch']} follows {self.kernel_epoch}"
            raise Invalid(what, where, "two kernels wrote here")
        self.kernel_epoch += 1

    def obey(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a signed command, whatever it is about. Raises Invalid."""
        if payload["type"] == "FREEZE":
            self.freeze(payload, registry, lamport, where)
        else:
            self.server(payload, registry, lamport, where)

    def freeze(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a freeze or unfreeze. Raises Invalid unless an emergency key signed it, next in sequence."""
        command = structure(payload["command"], FreezeCommand, where)
        if registry is None or command.log_id != registry.log_id:
            raise Invalid("the freeze command belongs to another log", where)
        key = registry.require(command.key_id, KeyPurpose.EMERGENCY, lamport)
        check_command(command, payload["signature"], key)
        self.freezes.apply(command)

    def server(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take what was said of an MCP server. Raises Invalid unless an approval key signed it, next in sequence."""
        command = structure(payload["command"], ServerCommand, where)
        if registry is None or command.log_id != registry.log_id:
            raise Invalid("the server command belongs to another log", where)
        key = registry.require(command.key_id, KeyPurpose.APPROVAL, lamport)
        check_server_command(command, payload["signature"], key)
        self.servers.apply(command)
