"""The events of the kernel's own that a reader can check: starts in order, freezes signed and in sequence."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.guardian.freezes import FreezeCommand, Freezes, check_command
from helm.trust.registry import Registry
from helm.wire import structure


@attrs.define
class Control:
    """What the control chain has come to."""

    freezes: Freezes = attrs.field(factory=Freezes)
    kernel_epoch: int = 0

    def start(self, payload: dict[str, JSONValue], where: str) -> None:
        """Take a kernel's start. Raises Invalid unless its epoch is the next: it fences earlier ones out."""
        kernel_epoch = payload.get("kernel_epoch")
        if type(kernel_epoch) is not int or kernel_epoch != self.kernel_epoch + 1:
            what = f"kernel epoch {kernel_epoch!r} follows {self.kernel_epoch}"
            raise Invalid(what, where, "two kernels wrote here")
        self.kernel_epoch = kernel_epoch

    def freeze(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a freeze or unfreeze. Raises Invalid unless an emergency key signed it, next in sequence."""
        command = structure(payload.get("command"), FreezeCommand, where)
        signature = payload.get("signature")
        if registry is None or command.log_id != registry.log_id:
            raise Invalid("the freeze command belongs to another log", where)
        if type(signature) is not str:
            raise Invalid("the freeze command is not signed", where)
        check_command(command, signature, registry.require(command.key_id, KeyPurpose.EMERGENCY, lamport))
        self.freezes.apply(command)
