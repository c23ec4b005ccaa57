"""What a guest of the sandbox is granted, and what one run of it leaves behind (seed: Sandbox Model (WASI); T4)."""

from __future__ import annotations

from helm.contracts.form import Form, Noun


class SandboxLimits(Noun, frozen=True, kw_only=True):
    """What one run may spend at most. All of it is enforced while it is spent, none of it afterwards."""

    fuel: int
    """Units of computation, as wasmtime counts them: the same for the same module and input on every machine."""
    memory_bytes: int
    output_bytes: int
    """Bytes on standard output and standard error together."""
    stack_bytes: int


class SandboxGrant(Noun, frozen=True, kw_only=True):
    """Everything a guest may touch; its hash names it. What is not in here, the guest does not have.

    `profile` is "wasmtime-deny-default": no file, no socket, no variable, no clock, no randomness. A guest reads its
    arguments on standard input and writes its answer on standard output.
    """

    limits: SandboxLimits
    module_hash: str
    profile: str


class SandboxRun(Noun, frozen=True, kw_only=True):
    """The evidence of one run, for its receipt. `lease_id` names this run of this grant."""

    fuel_used: int
    """For a guest that was interrupted, no more than what it had been seen to use."""
    lease_id: str
    module_hash: str


DENY_DEFAULT = "wasmtime-deny-default"

NO_RUN = SandboxRun(fuel_used=0, lease_id="", module_hash="")
"""What a receipt says where no sandbox ran."""

SANDBOX_LIMITS = Form(SandboxLimits)
SANDBOX_GRANT = Form(SandboxGrant)
