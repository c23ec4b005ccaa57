"""The console: files of this package, for a browser. They ask the same routes as everyone, with a key."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from quart import Response

from actors.doors.desk import query
from actors.doors.problem import Problem

INDEX: Final = "index.html"

TYPES: Final = MappingProxyType(
    {
        "css": "text/css; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript",
        "svg": "image/svg+xml",
    }
)
"""Every kind of file there is, by how its name ends."""

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{what} 'self'" for what in ("script-src", "style-src", "img-src", "connect-src", "worker-src")),
        *(f"{what} 'none'" for what in ("base-uri", "form-action", "frame-ancestors")),
        "require-trusted-types-for 'script'",
        "trusted-types helm-worker",
    )
)
"""No script in the page, none from elsewhere, and no text that becomes markup: what an agent wrote stays text (T2).

The one trusted type names the worker's address, whatever it is asked for; no policy makes markup or scripts of text.
"""

WORKER: Final = "pack-worker.js"

POLICY_OF_WORKER: Final = (
    "default-src 'none'; script-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Whoever verifies a pack in the browser loads its modules and can ask nobody: no word of a pack leaves it (T2)."""


class ConsoleRoutes:
    """Anyone may have the files: they hold no secret, and show nothing without a key."""

    def __init__(self) -> None:
        self.files = read_files()

    async def index(self) -> Response:
        """Answer with the page."""
        return self._file(INDEX)

    async def show(self, name: str) -> Response:
        """Answer with one of its files."""
        return self._file(name)

    def _file(self, name: str) -> Response:
        query()
        content = self.files.get(name)
        if content is None:
            raise Problem(status=404, detail="nothing is here")
        response = Response(content, content_type=TYPES[name.rpartition(".")[2]])
        response.headers["content-security-policy"] = POLICY_OF_WORKER if name == WORKER else POLICY
        return response


def read_files() -> Mapping[str, bytes]:
    """Return the console's files, by name: they are read once, and a name is looked up, never opened (T4)."""
    found = files("actors").joinpath("console").iterdir()
    return {file.name: file.read_bytes() for file in found if file.name.rpartition(".")[2] in TYPES}
