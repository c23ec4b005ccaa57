"""The words that start a Python program in a fork of one process that has imported everything already.

An MCP server on the official SDK, or HELM before one, takes a second of processor time to import what it needs, and
journeys start hundreds of them. Where the import is not the point, they are started by these words instead of
`sys.executable`: what runs is a process of its own, with the streams, words, environment and folder that it was given.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Final

import attrs

HERE: Final = Path(__file__).parent
PLACE: Final = "WARM_PYTHON"
"""The variable that tells the workers of one run where their host listens."""


@attrs.frozen
class Host:
    """The process that is forked."""

    folder: TemporaryDirectory[str]
    process: Popen[bytes]

    @classmethod
    def start(cls) -> Host:
        """Start it, and tell everything that is started after it where it is."""
        folder = TemporaryDirectory(prefix="warm-")
        place = os.path.join(folder.name, "host")
        words = [sys.executable, str(HERE / "host.py"), place]
        process = Popen(words, stdin=PIPE, stdout=PIPE, cwd=HERE.parents[1])
        assert process.stdout is not None
        with process.stdout as said:
            assert said.readline() == b"listening\n"
        os.environ[PLACE] = place
        return cls(folder, process)

    def end(self) -> None:
        """End it, and every program that still runs in it."""
        del os.environ[PLACE]
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


def python() -> list[str]:
    """Return the words that stand for `sys.executable`: before a script, or -m with a module."""
    return [sys.executable, "-I", "-S", str(HERE / "start.py"), os.environ[PLACE]]
