"""The sandbox's port: where untrusted code would run, and what stands there as long as no sandbox is built in.

The claim is never stronger than the substrate (T4, T10): without one, every guest is refused before it is read.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

import attrs

from helm.contracts.errors import Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode


@attrs.frozen(kw_only=True)
class Guest:
    """One run of untrusted code: the module by its pinned hash, its canonical input, and its wall clock."""

    module_hash: str
    arguments: bytes = attrs.field(repr=False)
    wall_ms: int


class Sandbox(Protocol):
    """Whatever runs a guest inside limits, in the thread that calls it."""

    def run(self, guest: Guest) -> JSONValue:
        """Return the guest's answer; raise Refused with the trap's code. Nothing of the guest outlives the call."""


class NoSandbox:
    """The sandbox that runs nothing."""

    def run(self, guest: Guest) -> NoReturn:
        """Refuse the guest: nothing here could hold it."""
        reason = f"no sandbox is built in, so the module {guest.module_hash} is not run"
        raise Refused(ReasonCode.SANDBOX_VIOLATION, reason)
