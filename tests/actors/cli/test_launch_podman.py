"""HELM and the real podman: what is launched is confined by the kernel itself, and not by an engine's word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.cli.test_launch import tools
from tests.counterparts import podman
from tests.counterparts.podman import Podman
from tests.helm.launch.test_substrate import DIGEST

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not podman.is_there(), reason=podman.HOW)]

NOBODY = "65534"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Podman]:
    """The engine, as the commands of HELM find it too."""
    folder = tmp_path / "podman"
    folder.mkdir()
    with podman.engine(folder) as one:
        for name, value in one.variables.items():
            monkeypatch.setenv(name, value)
        yield one


def declare(place: Made, image: str, tier: str) -> None:
    """Let the policy launch this image behind this tier, with 64 MiB and at most 16 processes."""
    text = tools().replace(f"ghcr.io/acme/agent@{DIGEST}", image).replace('command = ["serve", "--quiet"]\n', "")
    bounds = "memory_bytes = 67108864\nprocesses = 16\ncpu_milli = 500"
    text = text.replace('tier = "gvisor"', f'engine = "podman"\ntier = "{tier}"\n{bounds}')
    path = place.place().policy_path
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    assert helm("policy", "sign", str(path), *place.option).code == 0


def status_of(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def groups_of(pid: int) -> dict[str, Path]:
    """Return the control groups of a process, by their controllers."""
    found = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for one in controllers.split(","):
            found[one] = Path("/sys/fs/cgroup", one) / path.lstrip("/")
    return found


def limit_of(pid: int, controller: str, first: str, second: str) -> str:
    """Return a limit of a process's group, by its file's name in version 1 or version 2 of control groups."""
    groups = groups_of(pid)
    file = groups[controller] / first if controller in groups else groups[""] / second
    return file.read_text(encoding="utf-8").strip()


def test_an_agent_that_is_launched_is_confined_by_the_kernel(made: Made, engine: Podman) -> None:
    declare(made, engine.image(), "docker-default")
    assert helm("launch", "preflight", *made.option).code == 0
    started = helm("launch", "run", "launch", "first", "--json", *made.option)
    assert started.code == 0, started.out
    output = started.json()["output"]
    assert (output["status"], output["tier"], output["hardened"]) == ("running", "docker-default", False)
    pid = engine.inspect("helm-first")["State"]["Pid"]
    status = status_of(pid)
    assert (status["Uid"].split()[0], status["CapEff"], status["CapBnd"]) == (NOBODY, "0" * 16, "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert limit_of(pid, "memory", "memory.limit_in_bytes", "memory.max") == "67108864"
    assert limit_of(pid, "pids", "pids.max", "pids.max") == "16"
    devices = Path(f"/proc/{pid}/net/dev").read_text(encoding="utf-8").splitlines()[2:]
    assert [line.partition(":")[0].strip() for line in devices] == ["lo"]
    roots = [line.split() for line in Path(f"/proc/{pid}/mounts").read_text(encoding="utf-8").splitlines()]
    assert next("ro" in options.split(",") for _, where, _, options, *_ in roots if where == "/")
    assert helm("launch", "status", "status", "first", "--json", *made.option).json()["output"]["status"] == "running"
    stopped = helm("launch", "stop", "stop", "first", "--json", *made.option)
    assert stopped.json()["output"] | {"container": ""} == {"container": "", "exit_code": 0, "status": "exited"}
    assert engine.containers() == []
    assert helm("receipts", "verify", "--json", *made.option).json()["receipts"] == 3


@pytest.mark.parametrize("tier", ["gvisor", "docker-rootless-userns"])
def test_a_tier_that_the_real_engine_does_not_show_launches_nothing(made: Made, engine: Podman, tier: str) -> None:
    declare(made, engine.image(), tier)
    assert helm("launch", "preflight", *made.option).code == 1
    refused = helm("launch", "run", "launch", "first", "--json", *made.option)
    assert refused.json()["reason_code"] == "ERR_ISOLATION_TIER_UNAVAILABLE"
    assert engine.containers() == []


def test_an_image_that_is_not_here_is_not_pulled(made: Made, engine: Podman) -> None:
    declare(made, f"localhost/absent@{DIGEST}", "docker-default")
    refused = helm("launch", "run", "launch", "first", "--json", *made.option)
    assert (refused.json()["outcome"], engine.containers()) == ("NOT_DISPATCHED", [])


def test_a_container_of_somebody_elses_is_neither_replaced_nor_stopped(made: Made, engine: Podman) -> None:
    image = engine.image()
    declare(made, image, "docker-default")
    engine.run("create", "--name", "helm-first", image)
    for operation, tool in (("run", "launch"), ("status", "status"), ("stop", "stop")):
        refused = helm("launch", operation, tool, "first", "--json", *made.option)
        assert refused.json()["outcome"] == "NOT_DISPATCHED"
    assert engine.containers() == ["helm-first"]
