"""Podman itself, where this host has it, with storage of its own and an image that comes from no registry."""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import attrs

PLACE: Final = "/usr/bin/podman"
HOW: Final = "launching: no container was REALLY STARTED. Install podman with crun or runc, and be root on x86-64"

BASE: Final = 0x400000
HEADERS: Final = 120
"""Bytes of the header of an ELF file, and of that of its one segment."""

PAUSES: Final = "31d2 41ba08000000 0f05 b822000000 0f05 ebf7"
"""xor edx, edx; mov r10d, 8; syscall; then for ever: mov eax, 34 (pause); syscall; jmp."""

EXITS: Final = "b83c000000 31ff 0f05"
"""mov eax, 60 (exit); xor edi, edi; syscall."""


def is_there() -> bool:
    """Tell whether a container could be started here."""
    is_hybrid = Path("/sys/fs/cgroup/unified").exists()  # which crun refuses
    has_runtime = any(shutil.which(name) for name in (("runc",) if is_hybrid else ("crun", "runc")))
    return os.access(PLACE, os.X_OK) and has_runtime and os.getuid() == 0 and platform.machine() == "x86_64"


def waits() -> bytes:
    """Return a program without libraries that waits, and ends well when it is told to (System V ABI, chapters 4 and 5).

    The first process of a namespace is ended by no signal that it has not asked for, so it asks for SIGTERM.
    """
    asks = 15
    exits_at = BASE + HEADERS + asks + len(bytes.fromhex(PAUSES))
    told_at = exits_at + len(bytes.fromhex(EXITS))
    # mov eax, 13 (rt_sigaction); mov edi, 15 (SIGTERM); mov esi, where it says what to do then
    code = bytes.fromhex("b80d000000 bf0f000000 be") + struct.pack("<I", told_at) + bytes.fromhex(PAUSES + EXITS)
    body = code + struct.pack("<QQQQ", exits_at, 0x0400_0000, exits_at, 0)
    size = HEADERS + len(body)
    head = (b"\x7fELF\x02\x01\x01", 2, 62, 1, BASE + HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = (1, 5, 0, BASE, BASE, size, size, 4096)
    return struct.pack("<16sHHIQQQIHHHHHH", *head) + struct.pack("<IIQQQQQQ", *segment) + body


@attrs.frozen
class Podman:
    """The engine with storage in one folder: nothing of it stays on this host."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return what its command finds that storage by."""
        return {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }

    def settle(self) -> None:
        """Write its settings: what this host may not raise, it does not ask for."""
        runtime = "runc" if shutil.which("runc") else "crun"
        (self.folder / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
            f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
            f'tmp_dir = "{self.folder}/tmp"\nstatic_dir = "{self.folder}/static"\n'
            f'volume_path = "{self.folder}/volumes"\n'
        )
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{self.folder}/run"\ngraphroot = "{self.folder}/graph"\n'
        )

    def run(self, *words: str) -> bytes:
        """Run one command and return what it says."""
        return subprocess.run(
            [PLACE, *words],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.variables},
        ).stdout

    def image(self) -> str:
        """Make the image of a program that waits; return its name with its digest."""
        archive = self.folder / "waits.tar"
        with tarfile.open(archive, "w") as tar:
            member = tarfile.TarInfo("waits")
            member.mode, member.size = 0o755, len(waits())
            tar.addfile(member, BytesIO(waits()))
        self.run("import", "-c", 'CMD ["/waits"]', str(archive), "localhost/waits")
        name: str = json.loads(self.run("image", "inspect", "localhost/waits"))[0]["RepoDigests"][0]
        return name

    def inspect(self, name: str) -> Any:
        """Return what it says of a container."""
        return json.loads(self.run("inspect", "--type", "container", name))[0]

    def containers(self) -> list[str]:
        """Return the names of all containers."""
        return self.run("ps", "--all", "--format", "{{.Names}}").decode().split()


@contextmanager
def engine(folder: Path) -> Iterator[Podman]:
    """Yield the engine; whatever it still runs at the end is taken away."""
    one = Podman(folder)
    one.settle()
    try:
        yield one
    finally:
        one.run("rm", "--all", "--force", "--time", "0")
