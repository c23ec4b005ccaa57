"""What a guest of the sandbox is granted, and what one run of it leaves behind (seed: Sandbox Model (WASI); T4)."""

from __future__ import annotations

from enum import StrEnum

from helm.contracts.form import Form, Noun


class PreopenMode(StrEnum):
    """What a guest may do with a folder that it is given."""

    READ = "ro"
    WRITE = "rw"


class ListMode(StrEnum):
    """Whether anything is granted of what is listed by name."""

    DENY_ALL = "deny-all"
    ALLOWLIST = "allowlist"
    REDACTED = "redacted"
    """Of variables: the names are there, and none of the values."""


class Source(StrEnum):
    """Where a guest's clock and its randomness come from."""

    DENIED = "denied"
    FIXED = "fixed"
    """The same in every run: a clock that advances as it is read, bytes that follow from the arguments."""
    REAL = "real"


class SandboxLimits(Noun, frozen=True, kw_only=True):
    """What one run may spend at most. All of it is enforced while it is spent, none of it afterwards."""

    fuel: int
    """Units of computation, as wasmtime counts them: the same for the same module and input on every machine."""
    memory_bytes: int
    open_files: int
    output_bytes: int
    """Bytes on standard output and standard error together."""
    stack_bytes: int
    wall_ms: int
    """The longest deadline that a tool of this grant may have."""


class SandboxPreopen(Noun, frozen=True, kw_only=True):
    """A folder of the host that a guest finds under another name. Nothing above or beside it is there."""

    content_hash: str
    """What must lie below it whenever a guest begins, "" for whatever does."""
    guest_path: str
    mode: str
    path: str


class SandboxEnv(Noun, frozen=True, kw_only=True):
    """Variables that a guest finds, by name; the values are this machine's, and in no record."""

    mode: str
    names: tuple[str, ...]
    names_hash: str
    """"" where there are no names."""


class SandboxNetwork(Noun, frozen=True, kw_only=True):
    """Where a guest may connect to, where its runtime has connections at all."""

    cidrs: tuple[str, ...]
    destinations: tuple[str, ...]
    mode: str


class SandboxGrant(Noun, frozen=True, kw_only=True):
    """Everything a guest may touch; its hash names it. What is not in here, the guest does not have."""

    clock: str
    env: SandboxEnv
    filesystem_preopens: tuple[SandboxPreopen, ...]
    limits: SandboxLimits
    module_hash: str
    network: SandboxNetwork
    profile: str
    randomness: str
    runtime: str
    runtime_version: str
    """The only version that may run it, "" for any."""


class SandboxRun(Noun, frozen=True, kw_only=True):
    """The evidence of one run, for its receipt. `lease_id` names this run of this grant."""

    fuel_used: int
    """For a guest that was interrupted, no more than what it had been seen to use."""
    lease_id: str
    limits: tuple[tuple[str, int], ...]
    """What the run could spend at most, each limit by its name, in the order of the names."""
    module_hash: str
    trap: str
    """The name of what ended it from outside of its own words: a trap, a limit, a signal. "" where it ended itself."""


NO_RUN = SandboxRun(fuel_used=0, lease_id="", limits=(), module_hash="", trap="")
"""What a receipt says where no sandbox ran."""

NO_ENV = SandboxEnv(mode=ListMode.DENY_ALL, names=(), names_hash="")
NO_NETWORK = SandboxNetwork(cidrs=(), destinations=(), mode=ListMode.DENY_ALL)

SANDBOX_GRANT = Form(SandboxGrant)
