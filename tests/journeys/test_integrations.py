"""What `helm integrate scaffold` writes runs, and each tool call of its agent is judged by the kernel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from actors.cli.integrate.scaffold import FRAMEWORKS
from actors.client.blocking import HelmClient
from actors.policy_file import read_signed
from tests.actors.cli.shell import helm
from tests.actors.puppet import Puppet
from tests.counterparts.frameworks import python_of
from tests.journeys.running import Running, running

pytestmark = pytest.mark.slow

TEXT: Final = "what stands in the file"
READ: Final = {"path": "public/readme.txt"}
CLIMB: Final = {"path": "../secret.txt"}
PRIVATE: Final = {"path": "private/plan.txt"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Running, Puppet]]:
    """Yield a gateway under the starter policy, and the connector behind it."""
    puppet = Puppet(deed=lambda order: {"bytes": len(TEXT), "path": "public/readme.txt", "sha256": "", "text": TEXT})
    with running(
        tmp_path / "house", lambda house: read_signed(house.place.policy_path), {"files": puppet, "web": puppet}
    ) as there:
        yield there, puppet


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_every_call_of_its_agent_is_judged_and_has_a_receipt(
    framework: str, tmp_path: Path, house: tuple[Running, Puppet]
) -> None:
    there, puppet = house
    folder = tmp_path / "agent"
    helm("integrate", "scaffold", "--framework", framework, "--out", str(folder))
    dot = "_" if FRAMEWORKS[framework].over_http else "."
    read, private = f"files{dot}read", f"files{dot}read_private"
    told = run(there, python_of(framework), folder, (read, READ), (read, CLIMB), (private, PRIVATE), (read, READ))
    assert [line["tool"] for line in told] == [read, read, private, read]
    assert [TEXT in line["told"] for line in told] == [True, False, False, True]
    assert "MISSING_REQUIREMENT" in told[1]["told"]
    assert "rcpt_" in told[1]["told"]
    assert "apr_" in told[2]["told"]
    assert [json.loads(order.arguments) for order in puppet.orders] == [READ, READ]
    with HelmClient(there.url, there.key("agent")) as client:
        receipts = client.list_receipts(limit=50)["receipts"]
    assert [receipt["verdict"] for receipt in receipts] == ["ALLOW", "DENY", "ESCALATE", "ALLOW"]
    assert len({receipt["session_id"] for receipt in receipts}) == 1


def test_a_tool_with_a_body_in_the_agents_process_is_not_reached(tmp_path: Path, house: tuple[Running, Puppet]) -> None:
    there, puppet = house
    folder = tmp_path / "agent"
    helm("integrate", "scaffold", "--framework", "langchain", "--out", str(folder))
    (told,) = run(there, python_of("langchain"), folder, ("local_tool", {}))
    assert "NO_POLICY_DEFINED" in told["told"]
    assert puppet.orders == []


def run(there: Running, python: Path, folder: Path, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, str]]:
    """Run try_it.py with these calls, and return what its agent was told."""
    words = [word for name, arguments in calls for word in (name, json.dumps(arguments))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_", "PYTHON"))}
    ended = subprocess.run(
        [str(python), "try_it.py", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**kept, "HELM_URL": there.url, "HELM_API_KEY": there.key("agent"), "HOME": str(folder)},
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"tool"')]
