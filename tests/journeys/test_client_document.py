"""The examples of docs/client.md and docs/stream.md run, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from actors.policy_file import read_signed
from tests.actors.puppet import Puppet
from tests.gates.source import ROOT
from tests.journeys.running import running


def typed(page: str, path: Path, *words: str) -> list[str]:
    """Run the first example of a page against a gateway, and return the lines that it wrote."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    puppet = Puppet(deed=lambda order: {"bytes": 2, "path": "public/readme.txt", "sha256": "", "text": "hi"})
    with running(
        path / "house", lambda house: read_signed(house.place.policy_path), {"files": puppet, "web": puppet}
    ) as there:
        ended = subprocess.run(
            [sys.executable, "-c", example, *words],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=ROOT,
            env={**os.environ, "HELM_URL": there.url, "HELM_API_KEY": there.key("agent")},
        )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_many_calls_on_one_stream_are_answered_each(tmp_path: Path) -> None:
    said = typed("stream.md", tmp_path, "public/readme.txt", "private/plan.txt")
    assert sorted(said) == ["private/plan.txt DENY MISSING_REQUIREMENT", "public/readme.txt ALLOW "]


def test_the_example_reads_is_refused_and_lists_what_became_of_both(tmp_path: Path) -> None:
    said = typed("client.md", tmp_path)
    assert said[0].startswith("ALLOW rcpt_")
    assert said[1].startswith("refused: 403 NO_POLICY_DEFINED rcpt_")
    assert [line.split()[1] for line in said[2:]] == ["ALLOW", "DENY"]
