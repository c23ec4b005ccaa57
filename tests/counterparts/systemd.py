"""systemd itself, where this host has it and podman: the first process of a container on the host's own files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from tests.counterparts import podman
from tests.counterparts.podman import Podman
from tests.gates.source import ROOT

ANALYZE: Final = shutil.which("systemd-analyze")
HOW_TO_ANALYZE: Final = "deployment: the unit was NOT JUDGED by systemd-analyze. Install systemd"

PROGRAM: Final = Path("/lib/systemd/systemd")
HOW: Final = (
    "deployment: the unit was NOT STARTED by a real systemd. Install systemd, and podman with runc, and be root"
)

UNDER_OVERLAY: Final = "overlay" in Path("/proc/filesystems").read_text(encoding="ascii")

UP_WITHIN_S: Final = 60.0

MEMORY: Final = ("/tmp", "/run", "/run/lock", "/var/log/journal")
"""What is not to be seen of the host, nor copied from it."""


def is_there() -> bool:
    """Tell whether a systemd can be started here."""
    return podman.is_there() and PROGRAM.exists() and UNDER_OVERLAY and shutil.which("runc") is not None


@attrs.frozen
class Machine:
    """A container in which systemd runs."""

    engine: Podman
    name: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, and return how that ended."""
        line = [podman.PLACE, "exec", self.name, *words]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.engine.variables}
        return subprocess.run(line, capture_output=True, text=True, env=environment, check=False, timeout=300)

    def ask(self, *words: str) -> str:
        """Run a command that must end well, and return what it says."""
        ended = self.run(*words)
        assert ended.returncode == 0, (
            f"{words}: {ended.stdout}{ended.stderr}{self.heard() if words[0] == 'systemctl' else ''}"
        )
        return ended.stdout.strip()

    def heard(self) -> str:
        """Return the last that systemd and the unit said."""
        return self.run("journalctl", "--lines", "30", "--output", "cat").stdout

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.ask("systemctl", "show", unit, "--property", name, "--value")

    def until_up(self) -> None:
        """Wait until systemd answers."""
        ends_at = time.monotonic() + UP_WITHIN_S
        while self.run("systemctl", "is-active", "basic.target").returncode != 0:
            assert time.monotonic() < ends_at, "systemd does not come up in its container"


def helm_of(folder: Path) -> dict[str, str]:
    """Write what starts this HELM, on this Python, wherever they are put; return what must be put where."""
    (folder / "bin").mkdir(parents=True)
    sites = [path for path in sys.path if path.endswith("site-packages")]
    paths = ":".join(["/opt/src", *(f"/opt/site{number}" for number in range(len(sites)))])
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = folder / "bin" / "helm"
    program.write_text(
        "#!/bin/sh\n"
        f"LD_LIBRARY_PATH=/opt/python/lib PYTHONHOME=/opt/python PYTHONPATH={paths} PYTHONDONTWRITEBYTECODE=1 "
        f'exec /opt/python/bin/{python} -m actors.cli.main "$@"\n'
    )
    for path in (folder, folder / "bin", program):
        path.chmod(0o755)
    placed = {sys.base_prefix: "/opt/python", str(ROOT): "/opt/src", str(folder): "/opt/helm"}
    return placed | {site: f"/opt/site{number}" for number, site in enumerate(sites)}


@contextmanager
def machine(folder: Path, placed: dict[str, str]) -> Iterator[Machine]:
    """Yield a machine without a network, on this host's files, of which nothing is changed."""
    with podman.engine(folder) as engine:
        storage = folder / "storage.conf"
        storage.write_text(storage.read_text().replace('driver = "vfs"', 'driver = "overlay"'))
        words = ["run", "--detach", "--privileged", "--systemd=always", "--network=none"]
        words += [f"--tmpfs={place}:rw,notmpcopyup" for place in MEMORY]
        words += [f"--volume={source}:{place}:ro" for source, place in placed.items()]
        name = engine.run(*words, "--rootfs", "/:O", str(PROGRAM), "--unit=basic.target").decode().strip()
        made = Machine(engine, name)
        made.until_up()
        made.ask("mount", "--make-rshared", "/")  # as on any machine: the mount of a service's credentials must be seen
        yield made


def verify(unit: Path, folder: Path) -> str:
    """Return what systemd-analyze finds wrong with a unit and its drop-ins, when its program is there."""
    place = folder / "units"
    shutil.copytree(unit.parent, place)
    program = folder / "helm"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    written = place / unit.name
    written.write_text(written.read_text(encoding="utf-8").replace("/opt/helm/bin/helm", str(program)))
    ended = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", str(written)],
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "SYSTEMD_UNIT_PATH": f"{place}:", "SYSTEMD_LOG_LEVEL": "notice"},
        check=False,
    )
    said = [line for line in ended.stderr.splitlines() if unit.stem in line]
    return "\n".join(said) if said else ("" if ended.returncode == 0 else ended.stderr)
