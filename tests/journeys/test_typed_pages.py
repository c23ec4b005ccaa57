"""The quickstart and the runbook: every command is typed here, in its order, and does what the page says."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Final

import pytest

from tests.gates.source import ROOT
from tests.journeys.shelled import shell, typed_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("curl") is None, reason="pages: their commands were NOT RUN. Put `curl` on the PATH"
    ),
]

FEWEST: Final = {"docs/public/operator-runbook.md": 40, "docs/public/quickstart.md": 20}
"""Each page, and how many commands it has at least: a block that is no longer found is no page that holds."""


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", FEWEST)
def test_every_command_of_the_page_does_what_the_page_says(page: str, tmp_path: Path) -> None:
    commands = list(typed_in(page))
    assert len(commands) >= FEWEST[page]
    with shell(tmp_path, free_port()) as typed:
        for one in commands:
            typed.check(one)


def test_the_line_that_installs_is_the_one_that_ci_types() -> None:
    page = (ROOT / "docs/public/quickstart.md").read_text(encoding="utf-8")
    line = "pip install -e . && helm demo"
    assert f"\n{line}\n" in page
    assert f'typed "{line}"' in (ROOT / ".ci/run").read_text(encoding="utf-8")


@pytest.mark.parametrize(("words", "promise"), [("true", "# exit 1"), ("false", ""), ("echo no", "# says yes")])
def test_a_command_that_does_something_else_is_seen(words: str, promise: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"```sh\n{words}      {promise}\n```\n", encoding="utf-8")
    with shell(tmp_path, free_port()) as typed, pytest.raises(AssertionError):
        typed.check(next(typed_in(str(tmp_path / "page.md"))))
