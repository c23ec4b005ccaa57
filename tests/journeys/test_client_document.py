"""The example of docs/client.md runs, and does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from actors.policy_file import read_signed
from tests.actors.puppet import Puppet
from tests.gates.source import ROOT
from tests.journeys.running import running

EXAMPLE: Final = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_the_example_reads_is_refused_and_lists_what_became_of_both(tmp_path: Path) -> None:
    puppet = Puppet(deed=lambda order: {"bytes": 2, "path": "public/readme.txt", "sha256": "", "text": "hi"})
    with running(
        tmp_path / "house", lambda house: read_signed(house.place.policy_path), {"files": puppet, "web": puppet}
    ) as there:
        ended = subprocess.run(
            [sys.executable, "-c", EXAMPLE[0]],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=ROOT,
            env={**os.environ, "HELM_URL": there.url, "HELM_API_KEY": there.key("agent")},
        )
    said = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stderr
    assert said[0].startswith("ALLOW rcpt_")
    assert said[1].startswith("refused: 403 NO_POLICY_DEFINED rcpt_")
    assert [line.split()[1] for line in said[2:]] == ["ALLOW", "DENY"]
