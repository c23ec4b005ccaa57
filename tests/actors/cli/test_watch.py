"""helm watch: one look at a data directory or at a kernel, drawn for a terminal."""

from __future__ import annotations

from typing import Any

import attrs
import click

from actors.cli.watch import View, cut, frame, quantile
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm

RECEIPT: dict[str, Any] = {
    "issued_at_ms": 1_000_000_000_000,
    "principal": "agent",
    "reason_code": "",
    "status": "SUCCESS",
    "tool": "files.read",
    "verdict": "ALLOW",
}
FIGURES = {
    "approvals_waiting": 2.0,
    "calls_in_flight": 3.0,
    "calls_in_flight_limit": 256.0,
    "checkpoint_sequence": 4.0,
    "mcp_servers_quarantined": 1.0,
    "policy_epoch": 7.0,
    "ready": 1.0,
}


def drawn(seen: View, columns: int = 200) -> str:
    return click.unstyle("\n".join(frame(seen, columns)))


def view(**more: Any) -> View:
    return View(where="here", now_ms=1_000_000_000_500, receipts=[RECEIPT], **more)


def test_a_data_directory_is_watched_without_a_kernel(used: Made) -> None:
    ended = helm("watch", "--once", *used.option)
    assert ended.code == 0
    assert "● ALLOW" in ended.out
    assert "■ DENY" in ended.out
    assert ended.out.index("ESCALATE", ended.out.index("measures")) > 0


def test_the_figures_of_a_kernel_are_in_one_line() -> None:
    said = drawn(view(figures=FIGURES, buckets=[(0.001, 50.0), (0.01, 100.0), (float("inf"), 100.0)]))
    assert "deciding · p50 1.0 ms · p99 9.8 ms · in flight 3 of 256 · checkpoint 4" in said
    assert "waiting for approvers 2 · quarantined servers 1" in said


def test_a_kernel_that_does_not_decide_and_a_freeze_are_said_aloud() -> None:
    said = drawn(view(figures={**FIGURES, "ready": 0.0}, stops=["global"]))
    assert "NOT deciding" in said
    assert "■ FROZEN: global" in said


def test_bars_stand_where_their_second_is() -> None:
    older = {**RECEIPT, "issued_at_ms": RECEIPT["issued_at_ms"] - 59_000}
    lines = drawn(attrs.evolve(view(), receipts=[older, *[RECEIPT] * 8])).splitlines()
    allow = next(line for line in lines if line.startswith("● ALLOW"))
    bars = allow.removeprefix("● ALLOW".ljust(12))
    assert bars.startswith("▁")
    assert bars[59] == "█"
    assert bars.endswith("  9")


def test_what_an_agent_wrote_paints_no_terminal() -> None:
    said = drawn(attrs.evolve(view(), receipts=[{**RECEIPT, "tool": "\x1b[2Jgone"}]))
    assert "\\x1b[2Jgone" in said
    assert "\x1b" not in said


def test_a_line_is_as_long_as_the_terminal_is_wide() -> None:
    assert cut("abcdef", 4) == "abcd"
    assert cut("abc", 4) == "abc"


def test_no_call_has_no_quantile_and_a_slow_one_the_last_bound() -> None:
    assert quantile([], 0.5) is None
    assert quantile([(0.001, 0.0), (float("inf"), 0.0)], 0.5) is None
    assert quantile([(0.001, 0.0), (float("inf"), 3.0)], 0.5) == 0.001
