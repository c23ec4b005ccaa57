"""An MCP bundle, manifest 0.3: a client that opens it installs a server that only HELM starts.

https://github.com/modelcontextprotocol/mcpb/blob/main/MANIFEST.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue

MANIFEST_VERSION: Final = "0.3"
MANIFEST, ENTRY = "manifest.json", "server/launch"

MAX_DESCRIPTION: Final = 2000
"""Characters of a tool's description that a manifest repeats."""


@attrs.frozen(kw_only=True)
class Bundle:
    """What a bundle is made of. `words` are those of `helm mcp wrap` behind the data directory, quoted for a shell."""

    name: str
    version: str
    words: str
    variables: Sequence[str] = ()
    tools: Mapping[str, str] = attrs.field(factory=dict)
    """Names and descriptions."""

    def __attrs_post_init__(self) -> None:
        lowered = [name.lower() for name in self.variables]
        if len({"helm", "data_dir", *lowered}) != len(lowered) + 2:
            raise Invalid("two variables of one name", f"server {self.name}", "rename one of them")

    def files(self) -> dict[str, bytes]:
        """Return the files by name."""
        manifest = json.dumps(self.manifest(), indent=2, ensure_ascii=False) + "\n"
        return {MANIFEST: manifest.encode(), ENTRY: self.launch().encode()}

    def launch(self) -> str:
        """Return the program that a client starts."""
        return (
            "#!/bin/sh\n"
            "# HELM starts the server, and nothing here starts it any other way.\n"
            f'exec "${{HELM_PROGRAM:?}}" mcp wrap --data-dir "${{HELM_DATA_DIR:?}}" {self.words}\n'
        )

    def manifest(self) -> dict[str, JSONValue]:
        """Return the manifest."""
        asked = {name.lower(): secret(name) for name in self.variables}
        environment = {name: f"${{user_config.{name.lower()}}}" for name in self.variables}
        return {
            "manifest_version": MANIFEST_VERSION,
            "name": self.name,
            "version": self.version,
            "description": f"{self.name}, every call of it judged by HELM",
            "author": {"name": "HELM"},
            "server": {
                "type": "binary",
                "entry_point": ENTRY,
                "mcp_config": {
                    "command": "/bin/sh",
                    "args": [f"${{__dirname}}/{ENTRY}"],
                    "env": {
                        "HELM_DATA_DIR": "${user_config.data_dir}",
                        "HELM_PROGRAM": "${user_config.helm}",
                        **environment,
                    },
                },
            },
            "tools": [
                {"name": name, "description": said[:MAX_DESCRIPTION]} for name, said in sorted(self.tools.items())
            ],
            "compatibility": {"platforms": ["darwin", "linux"]},
            "user_config": {
                "data_dir": {
                    "type": "directory",
                    "title": "HELM's data directory",
                    "description": "The one that helm init made: it holds the policy, the keys and the receipts.",
                    "required": True,
                    "default": "${HOME}/helm-data",
                },
                "helm": {
                    "type": "file",
                    "title": "The program helm",
                    "description": "What `command -v helm` says in a terminal.",
                    "required": True,
                    "default": "${HOME}/.local/bin/helm",
                },
                **asked,
            },
        }


def secret(name: str) -> dict[str, JSONValue]:
    """Return the question for a variable that the server is given."""
    return {
        "type": "string",
        "title": name,
        "description": f"The variable {name}, for the server.",
        "required": True,
        "sensitive": True,
    }
