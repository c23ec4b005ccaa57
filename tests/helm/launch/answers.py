"""What engines say of themselves and of their containers, as recorded or as documented: no test has all these hosts."""

from __future__ import annotations

import copy
from typing import Any

DOCKER: dict[str, Any] = {
    "ID": "6d6c0d2e",
    "ServerVersion": "27.3.1",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
    "Runtimes": {"io.containerd.runc.v2": {"path": "runc"}, "runc": {"path": "runc"}},
    "DefaultRuntime": "runc",
}

PODMAN: dict[str, Any] = {
    "host": {"ociRuntime": {"name": "crun", "path": "/usr/bin/crun"}, "security": {"rootless": True}},
    "version": {"Version": "5.2.3"},
}

AWAY: dict[str, Any] = {"ID": "", "ServerErrors": ["Cannot connect to the Docker daemon"], "SecurityOptions": None}
"""What `docker info` says, with exit status 0, where no daemon answers."""


def docker(**changes: Any) -> dict[str, Any]:
    """Return what docker said, on a host that differs in these."""
    return copy.deepcopy(DOCKER) | changes


def container(spec: Any, spec_hash: str, *, runtime: str = "runc", **changes: Any) -> dict[str, Any]:
    """Return what docker says of a container that is what its spec asks for, but for these members of HostConfig."""
    host = {
        "Binds": None,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "Devices": [],
        "IpcMode": "private",
        "Memory": spec.memory_bytes,
        "NanoCpus": spec.cpu_milli * 1_000_000,
        "NetworkMode": spec.network,
        "PidMode": "",
        "PidsLimit": spec.processes,
        "Privileged": False,
        "ReadonlyRootfs": True,
        "Runtime": runtime,
        "SecurityOpt": ["no-new-privileges"],
        "UTSMode": "",
        "UsernsMode": "",
    }
    config = {"Image": spec.image, "Labels": {"helm.spec": spec_hash}, "User": spec.user}
    state = {"ExitCode": 0, "Status": "created"}
    return {"Config": config, "HostConfig": host | changes, "Id": "c0ffee", "State": state}
