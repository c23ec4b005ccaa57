"""Pages for people who run HELM say what really happens: every command of theirs is run here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from tests.actors.cli.conftest import Made, made, used
from tests.actors.cli.shell import helm
from tests.gates.source import ROOT
from tests.helm.evidence.recorder import Recorder, of_chain

__all__ = ["made", "used"]

BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT: Final = re.compile(r"\s+# exit (\d)$")


def commands(page: str) -> list[tuple[str, int]]:
    """Return every command of a page with the exit code that it promises."""
    found = []
    for line in "".join(BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))).splitlines():
        said = EXIT.search(line)
        found.append((EXIT.sub("", line), int(said[1]) if said else 0))
    return found


def for_host_evidence(folder: Path) -> None:
    """Leave a recorder's chain and its key in a folder."""
    recorder = Recorder()
    recorder.saw(agent_id="agent")
    (folder / "chain.json").write_bytes(of_chain(recorder.bodies))
    (folder / "recorder.hex").write_text(recorder.public_key + "\n")


def for_anchors(_: Path) -> None:
    """Leave nothing: the page makes what it needs."""


PAGES: Final[Mapping[str, Callable[[Path], None]]] = MappingProxyType(
    {"anchors.md": for_anchors, "host-evidence.md": for_host_evidence}
)
"""Each page, and what it takes to be there."""


def told_of(used: Made) -> dict[str, str]:
    """Return what a reader of a page knows of a log, by the names that pages have for it."""
    receipts = helm("receipts", "list", "--json", *used.option).json()
    acts = helm("audit", "list", "--json", *used.option).json()["acts"]
    checkpoints = helm("checkpoint", "list", "--json", *used.option).json()["checkpoints"]
    return {
        "$ACT": acts[0]["node_hash"],
        "$CHECKPOINT": checkpoints[-1]["checkpoint_hash"] if checkpoints else "",
        "$EXECUTION_KEY": used.place().execution_key().public_key,
        "$LOG_ID": used.log_id,
        "$RECEIPT": receipts[0]["receipt_id"],
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_ends_as_the_page_says(
    page: str, used: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    PAGES[page](tmp_path)
    assert len(commands(page)) > 2
    for line, code in commands(page):
        known = told_of(used)
        words = [known.get(word, word) for word in shlex.split(line.partition(" > ")[0])]
        assert words[0] == "helm"
        ended = helm(*words[1:], HELM_DATA_DIR=str(used.path), HELM_ANCHOR_TARGETS="file:kept.jsonl")
        assert ended.code == code, (line, ended.out, ended.err)
