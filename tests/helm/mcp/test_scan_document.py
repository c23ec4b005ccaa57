"""The document names every rule of the scan, and no other."""

from __future__ import annotations

import re
from typing import Final

from tests.gates.source import ROOT

RULE: Final = re.compile(r"\b(?:text|words|name|launch|shape|hints)\.[a-z][a-z-]+\b")


def test_every_rule_stands_in_the_document() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "helm" / "mcp").glob("scan_*.py")]
    rules = {rule for text in sources for quoted in re.findall(r'"([a-z.-]+)"', text) for rule in RULE.findall(quoted)}
    document = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    rows = [line for line in document.splitlines() if line.startswith("| `")]
    assert len(rules) > 30
    assert {rule for row in rows for rule in re.findall(r"`([a-z.-]+)`", row) if RULE.fullmatch(rule)} == rules
