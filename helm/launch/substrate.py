"""From a substrate spec to what an engine is asked for, and whether what it made is what was asked for.

The second half is what counts: a container is looked at before it is started, and one that is less than its spec is
not.
"""

from __future__ import annotations

from collections.abc import Iterator

from helm.contracts.form import JSONValue
from helm.guardian.connection import LaunchGrant
from helm.launch.tiers import Found

LABEL = "helm.spec"
"""The spec's hash stands on the container: HELM touches none that does not carry it."""

SCRATCH = "/tmp:rw,noexec,nosuid,nodev,size=67108864"  # noqa: S108 - a file system in the container's memory


def create_words(grant: LaunchGrant, found: Found, name: str, labels: dict[str, str]) -> list[str]:
    """Return the words behind the engine's name that make a container, and start nothing."""
    return [
        *("create", "--pull", "never", "--name", name),
        *(word for key, value in sorted(labels.items()) for word in ("--label", f"{key}={value}")),
        *(("--runtime", found.runtime) if found.runtime and grant.engine == "docker" else ()),
        *("--network", grant.network, "--read-only", "--tmpfs", SCRATCH),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--pids-limit", str(grant.processes), "--memory", str(grant.memory_bytes)),
        *("--memory-swap", str(grant.memory_bytes), "--cpus", f"{grant.cpu_milli / 1000:g}", "--user", grant.user),
        *(word for key, value in grant.environment.items() for word in ("--env", f"{key}={value}")),
        grant.image,
        *grant.command,
    ]


def shortfalls(inspected: JSONValue, grant: LaunchGrant, found: Found) -> tuple[str, ...]:
    """Return what a container that was made lacks of its spec; what cannot be read is lacking."""
    if type(inspected) is not dict or type(inspected.get("HostConfig")) is not dict:
        return ("the engine does not say what it made",)
    host, config = inspected["HostConfig"], inspected.get("Config")
    return tuple(_lacking(inspected, host, config if type(config) is dict else {}, grant, found))


def _lacking(
    inspected: dict[str, JSONValue],
    host: dict[str, JSONValue],
    config: dict[str, JSONValue],
    grant: LaunchGrant,
    found: Found,
) -> Iterator[str]:
    runtime = host.get("Runtime") or inspected.get("OCIRuntime")
    if found.runtime and runtime != found.runtime:
        yield f"the runtime is {runtime}, not {found.runtime}"
    wanted: tuple[tuple[str, JSONValue, JSONValue], ...] = (
        ("Privileged", host.get("Privileged"), False),
        ("ReadonlyRootfs", host.get("ReadonlyRootfs"), True),
        ("NetworkMode", host.get("NetworkMode"), grant.network),
        ("PidsLimit", host.get("PidsLimit"), grant.processes),
        ("Memory", host.get("Memory"), grant.memory_bytes),
        ("NanoCpus", host.get("NanoCpus"), grant.cpu_milli * 1_000_000),
        ("User", config.get("User"), grant.user),
        ("Image", config.get("Image"), grant.image),
    )
    yield from (f"{name} is {has}, not {want}" for name, has, want in wanted if has != want)
    yield from (f"{name} is not empty" for name in ("Binds", "CapAdd", "Devices", "VolumesFrom") if host.get(name))
    yield from (
        f"{name} is the host's" for name in ("PidMode", "IpcMode", "UsernsMode", "UTSMode") if is_host(host, name)
    )
    if not drops_all(inspected, host):
        yield "CapDrop is not ALL"
    options = host.get("SecurityOpt")
    if type(options) is not list or not any(str(one).startswith("no-new-privileges") for one in options):
        yield "SecurityOpt lacks no-new-privileges"


def is_host(host: dict[str, JSONValue], name: str) -> bool:
    """Tell whether a namespace is the host's own."""
    return host.get(name) == "host"


def drops_all(inspected: dict[str, JSONValue], host: dict[str, JSONValue]) -> bool:
    """Tell whether no capability is left: as docker repeats the word, or as podman lists what remains."""
    dropped = host.get("CapDrop")
    says_all = type(dropped) is list and "ALL" in dropped
    return says_all or ("EffectiveCaps" in inspected and not inspected["EffectiveCaps"])
