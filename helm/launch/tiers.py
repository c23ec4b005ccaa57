"""Which isolation tiers a host has, read from what its engine says of itself: no claim without its evidence (T10)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from helm.contracts.form import JSONValue
from helm.guardian.connection import Tier

BASELINE = "baseline: a shared kernel and a daemon of root's, no boundary for hostile code"


@attrs.frozen(kw_only=True)
class Host:
    """What an engine, and the host below it, said."""

    engine: str
    version: str
    options: frozenset[str] = frozenset()
    """Of the engine's security: rootless, userns, seccomp and the like."""
    runtimes: tuple[tuple[str, str], ...] = ()
    """Name, and path or type, of each runtime that is configured."""
    default_runtime: str = ""
    system: str = ""
    virtual: str = ""
    """The hypervisor that the host runs on, "" for none that shows."""


@attrs.frozen(kw_only=True)
class Found:
    """A tier that is there: what says so, and the runtime by which a container gets it, "" for the engine's own."""

    tier: Tier
    evidence: str
    runtime: str = ""


def tiers(host: Host, *, dedicated: bool = False) -> dict[Tier, Found]:
    """Return every tier of a host. `dedicated` is the operator's word that the machine is for these agents alone."""
    return {found.tier: found for found in look(host, dedicated=dedicated)}


def look(host: Host, *, dedicated: bool) -> Iterator[Found]:
    yield Found(tier=Tier.DOCKER_DEFAULT, evidence=f"{host.engine} {host.version}: {BASELINE}")
    mapped = sorted(host.options & {"rootless", "userns"})
    if mapped:
        yield Found(tier=Tier.DOCKER_ROOTLESS_USERNS, evidence=f"the engine says: {', '.join(mapped)}")
    if host.system == "Docker Desktop" and host.default_runtime == "sysbox-runc":
        yield Found(
            tier=Tier.DOCKER_ECI, evidence="Docker Desktop, default runtime sysbox-runc", runtime=host.default_runtime
        )
    for name, where in host.runtimes:
        if name == "runsc" or where.rpartition("/")[2] == "runsc":
            yield Found(tier=Tier.GVISOR, evidence=f"the runtime {name} ({where})", runtime=name)
        if "kata-fc" in name or "kata-fc" in where:
            yield Found(tier=Tier.KATA_FIRECRACKER, evidence=f"the runtime {name} ({where})", runtime=name)
    if dedicated and host.virtual:
        evidence = f"a virtual machine ({host.virtual}); that it is dedicated is the operator's word"
        yield Found(tier=Tier.DEDICATED_VM, evidence=evidence)


def host_of(engine: str, info: JSONValue, virtual: str = "") -> Host | None:
    """Return what an engine said of itself, None for what is no such answer."""
    if type(info) is not dict:
        return None
    return of_podman(info, virtual) if engine == "podman" else of_docker(info, virtual)


def of_docker(info: dict[str, JSONValue], virtual: str) -> Host | None:
    """Return what `docker info` said. A daemon that is away answers too, with errors and no version."""
    version = text(info, "ServerVersion")
    if not version or info.get("ServerErrors"):
        return None
    given = info.get("SecurityOptions")
    options = given if type(given) is list else []
    runtimes = info.get("Runtimes")
    found = sorted(runtimes.items()) if type(runtimes) is dict else []
    return Host(
        engine="docker",
        version=version,
        options=frozenset(option_of(one) for one in options if type(one) is str),
        runtimes=tuple((name, where_of(one)) for name, one in found),
        default_runtime=text(info, "DefaultRuntime"),
        system=text(info, "OperatingSystem"),
        virtual=virtual,
    )


def of_podman(info: dict[str, JSONValue], virtual: str) -> Host | None:
    """Return what `podman info` said. It names the one runtime that it uses."""
    host, version = info.get("host"), info.get("version")
    if type(host) is not dict or type(version) is not dict or not text(version, "Version"):
        return None
    security, runtime = host.get("security"), host.get("ociRuntime")
    rootless = type(security) is dict and security.get("rootless") is True
    runtimes = ((text(runtime, "name"), text(runtime, "path")),) if type(runtime) is dict else ()
    return Host(
        engine="podman",
        version=text(version, "Version"),
        options=frozenset({"rootless"} if rootless else ()),
        runtimes=runtimes,
        default_runtime=runtimes[0][0] if runtimes else "",
        virtual=virtual,
    )


def option_of(option: str) -> str:
    """Return the name in an option such as "name=seccomp,profile=builtin"."""
    return option.partition(",")[0].removeprefix("name=")


def where_of(runtime: JSONValue) -> str:
    """Return the path of a runtime, or its type where a shim runs it."""
    return (text(runtime, "path") or text(runtime, "runtimeType")) if type(runtime) is dict else ""


def text(members: dict[str, JSONValue], name: str) -> str:
    """Return a member that is a text, "" for any other."""
    value = members.get(name)
    return value if type(value) is str else ""
