"""No tier is claimed that an engine's own words do not show (T10)."""

from __future__ import annotations

from typing import Any

import pytest

from helm.guardian.connection import HARDENED, Tier
from helm.launch.tiers import host_of, tiers
from tests.helm.launch.answers import AWAY, PODMAN, docker


def there(info: Any, engine: str = "docker", *, virtual: str = "", dedicated: bool = False) -> set[str]:
    """Return the tiers that an answer shows."""
    host = host_of(engine, info, virtual)
    assert host is not None
    return {tier.value for tier in tiers(host, dedicated=dedicated)}


BASE = "docker-default"


@pytest.mark.parametrize(
    ("info", "want"),
    [
        (docker(), {BASE}),
        (docker(SecurityOptions=["name=seccomp,profile=builtin", "name=rootless"]), {BASE, "docker-rootless-userns"}),
        (docker(SecurityOptions=["name=userns"]), {BASE, "docker-rootless-userns"}),
        (docker(Runtimes={"runsc": {"path": "/usr/bin/runsc"}}), {BASE, "gvisor"}),
        (docker(Runtimes={"sandbox": {"path": "/opt/runsc"}}), {BASE, "gvisor"}),
        (docker(Runtimes={"kata-fc": {"runtimeType": "io.containerd.kata-fc.v2"}}), {BASE, "kata-firecracker"}),
        (docker(OperatingSystem="Docker Desktop", DefaultRuntime="sysbox-runc"), {BASE, "docker-eci"}),
    ],
)
def test_a_tier_is_there_where_the_engine_says_so(info: Any, want: set[str]) -> None:
    assert there(info) == want


@pytest.mark.parametrize(
    "info",
    [
        docker(OperatingSystem="Docker Desktop"),  # Enhanced Container Isolation is off
        docker(DefaultRuntime="sysbox-runc"),  # sysbox, but not Docker Desktop's
        docker(Runtimes={"kata": {"path": "kata-runtime"}}),  # Kata, but not on Firecracker
        docker(SecurityOptions=["name=seccomp,profile=rootless"]),
        docker(SecurityOptions=None, Runtimes=None),
        docker(Runtimes={"runsc-not": {"path": "/usr/bin/runsc-not"}}),
        docker(Name="gvisor", Labels=["runsc", "rootless"]),
    ],
)
def test_what_only_looks_like_a_tier_is_the_baseline(info: Any) -> None:
    assert there(info) == {BASE}


def test_a_dedicated_machine_takes_both_the_operators_word_and_a_hypervisor() -> None:
    assert there(docker(), virtual="kvm") == {BASE}
    assert there(docker(), dedicated=True) == {BASE}
    assert there(docker(), virtual="kvm", dedicated=True) == {BASE, "dedicated-vm"}


def test_the_evidence_says_whose_word_it_is() -> None:
    host = host_of("docker", docker(), "kvm")
    assert host is not None
    found = tiers(host, dedicated=True)
    assert "the operator's word" in found[Tier.DEDICATED_VM].evidence
    assert "no boundary for hostile code" in found[Tier.DOCKER_DEFAULT].evidence


def test_the_baseline_is_never_called_hardened() -> None:
    assert frozenset(Tier) - HARDENED == {Tier.DOCKER_DEFAULT}


def test_podman_without_root_is_a_tier_and_names_its_one_runtime() -> None:
    assert there(PODMAN, "podman") == {BASE, "docker-rootless-userns"}
    rooted = PODMAN | {"host": PODMAN["host"] | {"security": {"rootless": False}}}
    assert there(rooted, "podman") == {BASE}


@pytest.mark.parametrize("info", [AWAY, {}, None, [], "docker", {"ServerVersion": 27}])
def test_an_engine_that_does_not_answer_has_no_tier(info: Any) -> None:
    assert host_of("docker", info) is None
    assert host_of("podman", info) is None
