"""An errand that begins a process of its own, says which, and never comes to an end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helm.crypto.canonical import reread

FOREVER = "import threading; threading.Event().wait()"


def serve() -> None:
    """Begin it, and wait for ever."""
    asked = reread(sys.argv[1].encode())["asked"]
    with subprocess.Popen([sys.executable, "-c", FOREVER], stdout=subprocess.DEVNULL) as begun:
        told = Path(asked["told"])
        told.with_suffix(".part").write_text(str(begun.pid))
        told.with_suffix(".part").rename(told)
        begun.wait()
