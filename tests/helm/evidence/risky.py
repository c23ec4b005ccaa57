"""Logs with calls of every risk tier: what condensing is about."""

from __future__ import annotations

from helm.contracts.decision import ALLOW
from helm.guardian.bundle import load_toml
from helm.receipts.chain import SealedReceipt
from tests.helm.evidence.material import POLICY, Log

RISKY = POLICY.replace('max_risk_tier = "T2"', 'max_risk_tier = "T3"') + "".join(
    f'''
[tools."notes.{tier}"]
connector = "notes"
effect_type = "read"
risk_tier = "{tier}"
principals = ["*"]
data_classes = ["internal"]
input = '{{{{"type": "object"}}}}'
output = '{{{{"type": "object"}}}}'
'''
    for tier in ("T0", "T2", "T3")
)


def risky_log() -> Log:
    """Return a log whose policy has tools of every tier."""
    log = Log().begin()
    log.activate(load_toml(RISKY.format(epoch=2), "risky policy"))
    return log


def run(log: Log, tier: str, session: str = "s1") -> SealedReceipt:
    """Write an allowed call of a tier, and its success."""
    tool, arguments = ("notes.read", {"name": "x"}) if tier == "T1" else (f"notes.{tier}", {})
    judgement = log.judge(session, tool, arguments)
    assert judgement.decision.content.verdict == ALLOW, judgement.decision.content.reason
    return log.end(judgement, log.write_intent(judgement))


def covered_log() -> Log:
    """Return a log of calls of every tier, a checkpoint over them, and a call behind it."""
    log = risky_log()
    for tier in ("T0", "T1", "T3", "T2", "T1", "T0"):
        run(log, tier)
    run(log, "T1", "s2")
    log.refuse("s1")
    log.checkpoint()
    run(log, "T1")
    return log
