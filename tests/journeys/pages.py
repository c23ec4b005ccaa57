"""Commands of the documents, as a reader would type them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT: Final = re.compile(r"\s+# exit (\d)$")
TIMEOUT_S: Final = 60


def commands(page: str) -> list[tuple[str, int]]:
    """Return every command of a page with the exit code that it promises."""
    found = []
    for line in "".join(BLOCK.findall(page)).splitlines():
        said = EXIT.search(line)
        found.append((EXIT.sub("", line), int(said[1]) if said else 0))
    return found


def check_commands(page: str, directory: Path, **environment: str) -> None:
    """Run every command of a page in a directory; each ends as the page says, and none with a traceback."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line, code in commands(page):
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=directory,
            env={"PATH": path, "HOME": str(directory), **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == code, (line, ended.stdout, ended.stderr)
        assert "Traceback" not in ended.stderr
