"""An engine to try things on: a program that keeps containers in a file, and lies where a test wants it to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs

from actors.connectors.launch.engine import Engine
from helm.guardian.connection import LaunchConnection
from tests.helm.launch.answers import container, docker

PROGRAM = """#!{python}
import json, sys
from pathlib import Path

here = Path(__file__).parent
state = json.loads((here / "state.json").read_text())
words = sys.argv[1:]
with (here / "asked").open("a") as file:
    file.write(json.dumps(words) + "\\n")
if words[0] in state["fails"]:
    sys.exit(125)
if words[0] == "info":
    print(json.dumps(state["info"]))
elif words[0] == "create":
    state["there"] = True
elif words[0] == "inspect":
    if not state["there"]:
        sys.exit(1)
    made = state["made"]
    made["State"]["Status"] = state["status"]
    print(json.dumps([made]))
elif words[0] == "start":
    state["status"] = "running"
elif words[0] == "stop":
    state["status"] = "exited"
elif words[0] == "rm":
    state["there"] = False
(here / "state.json").write_text(json.dumps(state))
"""


@attrs.frozen
class Bench:
    """An engine's program in a folder, with what it knows beside it."""

    folder: Path

    @property
    def engine(self) -> Engine:
        return Engine("docker", str(self.folder / "docker"), {"PATH": "/usr/bin:/bin"})

    def find(self, name: str) -> Engine | None:
        """Return the engine by its name."""
        return self.engine if name == "docker" else None

    def asked(self) -> list[str]:
        """Return the commands that were run, by their first words."""
        path = self.folder / "asked"
        return [json.loads(line)[0] for line in path.read_text().splitlines()] if path.exists() else []

    def knows(self) -> Any:
        """Return what the engine knows."""
        return json.loads((self.folder / "state.json").read_text())

    def learn(self, **changes: Any) -> None:
        """Have the engine know something else."""
        (self.folder / "state.json").write_text(json.dumps(self.knows() | changes))


def bench(folder: Path, agent: LaunchConnection, **changes: Any) -> Bench:
    """Return an engine with gVisor, whose containers are what they should be but for these changes."""
    runtimes = {"runsc": {"path": "/usr/bin/runsc"}}
    made = container(agent.grant, agent.grant_hash, **({"Runtime": "runsc"} | changes))
    state = {"fails": [], "info": docker(Runtimes=runtimes), "made": made, "status": "created", "there": False}
    (folder / "state.json").write_text(json.dumps(state))
    program = folder / "docker"
    program.write_text(PROGRAM.replace("{python}", sys.executable))
    program.chmod(0o755)
    return Bench(folder)
