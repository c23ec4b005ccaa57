"""The Containerfile: built on a base of this host's own, and what comes out initialized, run, asked and stopped."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from helm.config import Config
from tests.counterparts import base_image, podman, release, systemd
from tests.counterparts.podman import Podman
from tests.gates.source import ROOT

FOLDER: Final = ROOT / "docs" / "deploy"
TEXT: Final = (FOLDER / "Containerfile").read_text(encoding="utf-8")

USER: Final = "65532"

SHIPPED: Final = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none")


def test_no_base_is_built_on_that_nobody_pinned() -> None:
    lines = TEXT.splitlines()
    assert "ARG BASE" in lines
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"${BASE}"}


def test_a_container_is_nobodys_root_and_can_be_asked_for_its_health() -> None:
    assert f"USER {USER}:{USER}" in TEXT
    assert "VOLUME /var/lib/helm" in TEXT
    assert 'CMD ["/opt/helm/bin/helm", "ready"]' in TEXT
    assert f"EXPOSE {Config().port}" in TEXT


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """The engine, with the image."""
    folder = tmp_path_factory.mktemp("podman")
    with podman.engine(folder) as one:
        storage = folder / "storage.conf"
        storage.write_text(storage.read_text().replace('driver = "vfs"', 'driver = "overlay"'))
        base = base_image.lay_out(tmp_path_factory.mktemp("base"))
        archive = folder / "base.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(base, ".", filter=owned_by_root)
        lines = (f"ENV PYTHONPATH={base_image.SITE}", "ENV LD_LIBRARY_PATH=/usr/local/lib")
        one.run("import", *(f"--change={line}" for line in lines), str(archive), base_image.NAME)
        arguments = {"BASE": base_image.NAME, "PIP_ARGS": base_image.PIP_ARGS}
        words = [f"--build-arg={name}={text}" for name, text in arguments.items()]
        words += ["--network=none", "--layers=false", "--format=docker", "--tag=localhost/helm"]
        ignored = f"--ignorefile={FOLDER / 'containerignore'}"
        one.run("build", *words, ignored, f"--file={FOLDER / 'Containerfile'}", str(ROOT))
        yield one


def owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    return member


def run(engine: Podman, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **engine.variables}
    return subprocess.run([podman.PLACE, *words], capture_output=True, text=True, env=environment, check=False)


def inspected(engine: Podman, kind: str, name: str) -> Any:
    return json.loads(engine.run(kind, "inspect", name))[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not (systemd.is_there() and release.can_build()), reason=podman.HOW)
class TestTheImage:
    """Built without a network, and run as the page says."""

    def test_it_is_of_a_user_without_a_name_and_holds_no_pip(self, engine: Podman) -> None:
        image = inspected(engine, "image", "localhost/helm")["Config"]
        assert (image["User"], image["StopSignal"]) == (f"{USER}:{USER}", "SIGTERM")
        assert list(image["Volumes"]) == ["/var/lib/helm"]
        held = run(engine, "run", "--rm", "--entrypoint=/bin/sh", "localhost/helm", "-c", "echo /opt/helm/bin/*").stdout
        assert "/opt/helm/bin/helm" in held.split()
        assert "/opt/helm/bin/pip" not in held.split()

    def test_it_is_initialized_serves_says_how_it_is_reloads_and_ends_well(self, engine: Podman) -> None:
        mounted = ("--volume=data:/var/lib/helm", *SHIPPED)
        made = run(engine, "run", "--rm", *mounted, "localhost/helm", "init", "/var/lib/helm/data", "--json")
        assert made.returncode == 0, made.stderr
        engine.run("run", "--detach", "--name=helm", "--stop-timeout=45", *mounted, "localhost/helm")
        until_healthy(engine)
        status = Path(f"/proc/{engine.inspect('helm')['State']['Pid']}/status").read_text(encoding="utf-8")
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert (said["Uid"].split()[0], said["CapEff"], said["NoNewPrivs"]) == (USER, "0" * 16, "1")
        reloaded = run(engine, "exec", "helm", "helm", "reload", "--json")
        assert json.loads(reloaded.stdout)["refused"] is False
        engine.run("stop", "helm")
        assert engine.inspect("helm")["State"]["ExitCode"] == 0
        assert "nothing is in flight any more" in run(engine, "logs", "helm").stderr
        verified = run(engine, "run", "--rm", *mounted, "localhost/helm", "receipts", "verify")
        assert verified.returncode == 0, verified.stderr


def until_healthy(engine: Podman) -> None:
    """Wait until the image's own health check finds that calls are judged; each of them takes a second by itself."""
    for _ in range(60):
        if run(engine, "healthcheck", "run", "helm").returncode == 0:
            return
    raise AssertionError(run(engine, "logs", "helm").stderr)
