"""What a policy says of a connector: where an effect may leave the house, pinned by the policy's hash."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import attrs

from helm.contracts.form import Form, Noun
from helm.contracts.sandbox import SandboxGrant


class ConnectorKind(StrEnum):
    """What stands behind a connector's name."""

    LOCAL = "local"
    HTTP = "http"
    FILES = "files"
    WASM = "wasm"
    MCP = "mcp"
    CLIENT = "client"
    TUNNEL = "tunnel"
    SUBPROCESS = "subprocess"
    LAUNCH = "launch"


class FileOperation(StrEnum):
    """What a directory understands."""

    READ = "read"
    LIST = "list"


FILE_OPERATIONS = frozenset(operation.value for operation in FileOperation)


@attrs.frozen(kw_only=True)
class LocalConnection:
    """Functions of this process; whoever opens the kernel brings them."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.LOCAL, init=False)
    name: str

    def has(self, operation: str) -> bool:
        """Tell whether the operation is there: which functions there are is known when they are brought."""
        return True


@attrs.frozen(kw_only=True)
class HttpOperation:
    """One request that a service understands: method and path template, or the argument that is the URL."""

    method: str
    path: str
    url_argument: str
    query: frozenset[str]


@attrs.frozen(kw_only=True)
class HttpConnection:
    """One HTTP service, or, where `origin` is "", whatever the URL argument of an operation names."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.HTTP, init=False)
    name: str
    origin: str
    operations: Mapping[str, HttpOperation]
    headers: Mapping[str, str] = MappingProxyType({})
    allow_private: bool = False
    permits: bool = False
    """Whether it is shown the signed permit of each call."""
    max_response_bytes: int

    def has(self, operation: str) -> bool:
        """Tell whether the operation is declared."""
        return operation in self.operations


@attrs.frozen(kw_only=True)
class FilesConnection:
    """The files below one directory, for reading; a relative root is below the data directory."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.FILES, init=False)
    name: str
    root: str
    max_bytes: int

    def has(self, operation: str) -> bool:
        """Tell whether a directory understands the operation."""
        return operation in FILE_OPERATIONS


@attrs.frozen(kw_only=True)
class ProvenanceDemand:
    """What must be proved of a pinned program before it is plugged in: two files below the data directory.

    The envelope says who built it, from what; the policy whom to believe, and its hash pins it.
    """

    envelope: str
    policy: str
    policy_hash: str


@attrs.frozen(kw_only=True)
class WasmConnection:
    """A WASI module, pinned by the hash of its bytes, and all that it is granted."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.WASM, init=False)
    name: str
    grant: SandboxGrant
    grant_hash: str
    provenance: ProvenanceDemand | None = None

    @property
    def pinned_hash(self) -> str:
        """The hash of the code that runs."""
        return self.grant.module_hash

    def has(self, operation: str) -> bool:
        """Tell whether the operation is there: a module has one entry, so any name means it."""
        return True


@attrs.frozen(kw_only=True)
class ClientConnection:
    """Tools of whoever asks a model through the proxy: what is allowed is handed over, and executed over there."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.CLIENT, init=False)
    name: str

    def has(self, operation: str) -> bool:
        """Tell whether the operation is there: which tools a client has only the client knows."""
        return True


@attrs.frozen(kw_only=True)
class McpConnection:
    """An MCP server: a program that is started, with these variables of ours beside the plain ones, or an address.

    Of `command` and `url` one is empty. `bearer` names the variable that holds the token for the address, "" for none.
    `permits`: it is shown the signed permit of each call.
    """

    kind: ConnectorKind = attrs.field(default=ConnectorKind.MCP, init=False)
    name: str
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    url: str = ""
    bearer: str = ""
    allow_private: bool = False
    permits: bool = False
    max_response_bytes: int

    def has(self, operation: str) -> bool:
        """Tell whether the operation is there: what a server lists is known when it is asked, and pinned by then."""
        return True


@attrs.frozen(kw_only=True)
class TunnelConnection:
    """Tunnels to whatever a call names, through which a client and that place talk unseen: bounded, and counted."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.TUNNEL, init=False)
    name: str
    allow_private: bool = False
    idle_s: int
    """A tunnel through which nothing goes for so long is ended."""
    max_sent_bytes: int
    """What may leave through one tunnel; that much is reserved of every ceiling that counts it."""
    max_received_bytes: int

    def has(self, operation: str) -> bool:
        """Tell whether the operation is there: a tunnel is opened, whatever that is called."""
        return True


class Isolation(StrEnum):
    """What stands between a program and the machine beside its limits."""

    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    """The kernel keeps it to its files, and a filter from the network; other processes are there to be seen."""
    NONE = "none"


class ProgramLimits(Noun, frozen=True, kw_only=True):
    """What one run of a program may take. What is counted for each process is not counted for all of them."""

    cpu_s: int
    """Of each process."""
    file_bytes: int
    """Longest file that it writes; under bubblewrap also all that it may keep in its own directory."""
    memory_bytes: int
    """Address space of each process."""
    open_files: int
    """Of each process."""
    output_bytes: int
    processes: int
    """Of the user that it runs as: whatever else that user runs counts too."""


class Word(Noun, frozen=True, kw_only=True):
    """One word of a command line: as it stands here, and behind that what an argument says, "" for none."""

    argument: str
    literal: str


class ProgramOperation(Noun, frozen=True, kw_only=True):
    """One command line of a program. `stdin` is the argument that it reads, "" for none."""

    options: tuple[str, ...]
    """Arguments that may begin with a hyphen, and so be options."""
    stdin: str
    words: tuple[Word, ...]


class ProgramGrant(Noun, frozen=True, kw_only=True):
    """A program, pinned by its path and the hash of its bytes, and everything that it may touch; its hash names it.

    It is started without a shell, and finds the variables that stand here and no others. Without bubblewrap no file and
    no network is kept from it: such a grant says so (`network`) and names none (`reads`, `writes`).
    """

    directory: str
    """Where it begins, "" for an empty directory of its own."""
    environment: Mapping[str, str]
    isolation: str
    limits: ProgramLimits
    network: bool
    operations: Mapping[str, ProgramOperation]
    program: str
    program_hash: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def is_harmless(self) -> bool:
        """Whether nothing that it does can be seen outside of its own run, however it ends."""
        return self.isolation == Isolation.BUBBLEWRAP and not self.network and not self.writes


@attrs.frozen(kw_only=True)
class ProgramConnection:
    """A program of this machine, and all that it is granted."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.SUBPROCESS, init=False)
    name: str
    grant: ProgramGrant
    grant_hash: str
    provenance: ProvenanceDemand | None = None

    @property
    def pinned_hash(self) -> str:
        """The hash of the code that runs."""
        return self.grant.program_hash

    def has(self, operation: str) -> bool:
        """Tell whether the operation is declared."""
        return operation in self.grant.operations


class Tier(StrEnum):
    """What isolates a whole agent from its host (T10). The first is a baseline, and never hardened."""

    DOCKER_DEFAULT = "docker-default"
    DOCKER_ROOTLESS_USERNS = "docker-rootless-userns"
    DOCKER_ECI = "docker-eci"
    GVISOR = "gvisor"
    KATA_FIRECRACKER = "kata-firecracker"
    DEDICATED_VM = "dedicated-vm"


HARDENED = frozenset(Tier) - {Tier.DOCKER_DEFAULT}


class LaunchOperation(StrEnum):
    """What can be done with an agent's container."""

    RUN = "run"
    STATUS = "status"
    STOP = "stop"


LAUNCH_OPERATIONS = frozenset(operation.value for operation in LaunchOperation)


class LaunchGrant(Noun, frozen=True, kw_only=True):
    """The substrate spec: what is launched, behind which tier, within which limits; its hash names it."""

    command: tuple[str, ...]
    cpu_milli: int
    """Thousandths of one processor."""
    dedicated: bool
    """Whether the operator states that this machine is a virtual one for these agents alone: no engine can know."""
    engine: str
    environment: Mapping[str, str]
    image: str
    """With its digest: a name alone is whatever it names today."""
    memory_bytes: int
    network: str
    """"none", or a network of the engine's by its name."""
    processes: int
    tier: str
    user: str


@attrs.frozen(kw_only=True)
class LaunchConnection:
    """Containers of one agent, each started behind the tier that the policy demands, or not at all."""

    kind: ConnectorKind = attrs.field(default=ConnectorKind.LAUNCH, init=False)
    name: str
    grant: LaunchGrant
    grant_hash: str

    def has(self, operation: str) -> bool:
        """Tell whether containers understand the operation."""
        return operation in LAUNCH_OPERATIONS


Connection = (
    LocalConnection
    | HttpConnection
    | FilesConnection
    | WasmConnection
    | ClientConnection
    | McpConnection
    | TunnelConnection
    | ProgramConnection
    | LaunchConnection
)


LAUNCH_GRANT = Form(LaunchGrant)
PROGRAM_LIMITS = Form(ProgramLimits)
PROGRAM_GRANT = Form(ProgramGrant)
