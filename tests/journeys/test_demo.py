"""`helm demo` is believed only as far as it can fail: every gate that is made weaker must show, and end it with 1."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from actors.cli.demo.answer import ALLOWED, ASKS_A_HUMAN, UNKNOWN_CALLER, Answer, Expected, refused
from actors.cli.demo.command import Ending, untold
from actors.cli.demo.play import Result, about_receipt, play
from actors.cli.demo.proof import Proof, Verification, verified_by_another, with_one_byte_changed
from actors.cli.demo.stage import demo_policy, set_stage
from actors.cli.demo.steps import SEEN_BY_THE_WORLD, STEPS
from tests.actors.cli.shell import helm

TITLES: Final = [step.title for step in STEPS]


def test_every_answer_is_the_expected_one_and_every_proof_holds(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    line = [sys.executable, "-m", "actors.cli.main", "demo", "--json", "--keep", str(kept)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["ok"] is True
    assert [step["title"] for step in told["steps"]] == TITLES
    assert all(step["ok"] for step in told["steps"])
    assert told["upstream"]["seen"] == list(SEEN_BY_THE_WORLD)
    assert told["pack"]["report"]["authenticated"] is True
    assert told["pack"]["report"]["subject"]["receipts"] == told["pack"]["receipts"]
    assert told["tampered"]["refused_by"]["name"] == "manifest"
    assert told["seconds"] < 30  # four to seven on a quiet machine
    assert helm("verify", told["pack"]["path"], "--log-id", told["log_id"]).code == 0
    assert helm("receipts", "verify", "--data-dir", str(kept)).code == 0


def test_the_demonstration_sends_every_kind_of_call_that_was_promised() -> None:
    answers = {(step.expected.http, step.expected.verdict, step.expected.code) for step in STEPS}
    assert answers >= {
        (200, "ALLOW", ""),
        (401, "", ""),
        (403, "DENY", "NO_POLICY_DEFINED"),
        (403, "DENY", "SCHEMA_VIOLATION"),
        (403, "DENY", "MISSING_REQUIREMENT"),
        (403, "DENY", "DATA_EGRESS_BLOCKED"),
        (502, "ALLOW", "ERR_CONNECTOR_CONTRACT_DRIFT"),
        (403, "DENY", "ERR_CONNECTOR_CONTRACT_DRIFT"),
        (403, "DENY", "SYSTEM_FROZEN"),
        (409, "DENY", "IDEMPOTENCY_KEY_REUSED"),
        (202, "ESCALATE", "APPROVAL_REQUIRED"),
        (403, "DENY", "IDENTITY_ISOLATION_VIOLATION"),
    }


def test_people_see_a_line_for_every_answer() -> None:
    ended = helm("demo")
    assert ended.code == 0
    assert all(title in ended.out for title in TITLES)
    assert f"{len(STEPS)} of {len(STEPS)} answers as expected, every proof holds" in ended.out
    assert "✗" not in ended.out


WEAKENED: Final[dict[str, tuple[str, str, list[str]]]] = {
    "a requirement is missing": (
        "args.path.startsWith('public/')",
        "args.path.startsWith('p')",
        ["read a private file"],
    ),
    "a path may climb": ("!args.path.contains('..')", "args.path != ''", ["climb out of the directory"]),
    "a text is not scanned": (
        'effect_type = "write"',
        'effect_type = "write"\nfree_text = ["text"]',
        ["orders smuggled into a text"],
    ),
    "nobody is asked": (
        "approval = { required = true, quorum = 1, expires_s = 3600 }",
        "",
        ["refund an order: ask a human"],
    ),
    "the answer is not checked": (
        '"cents": {"type": "integer", "minimum": 0}',
        '"cents": {}',
        ["the service answers off contract", "ask it again: its connector halts"],
    ),
    "the budget is too small": ("tool_call_limit = 100", "tool_call_limit = 3", ["the service answers off contract"]),
    "an honest tool is not declared": (
        '[tools."orders.get"]',
        '[tools."orders.got"]',
        ["ask the order service", "the service answers off contract", "ask it again: its connector halts"],
    ),
}


@pytest.mark.parametrize("weakness", WEAKENED)
async def test_a_gate_that_answers_otherwise_is_complained_of(weakness: str, tmp_path: Path) -> None:
    old, new, titles = WEAKENED[weakness]
    assert old in demo_policy()
    async with set_stage(tmp_path / "data", demo_policy().replace(old, new, 1)) as stage:
        results = await play(stage, STEPS, untold)
    assert set(titles) <= {result.step.title for result in results if result.complaint}


def test_a_call_that_reached_the_world_and_should_not_have_is_seen(tmp_path: Path) -> None:
    policy = tmp_path / "weaker.toml"
    policy.write_text(demo_policy().replace("approval = {", "#approval = {", 1), encoding="utf-8")
    ended = helm("demo", "--policy", str(policy))
    assert ended.code == 1
    assert "✗ the service saw " in ended.out
    assert "/refunds" in ended.out
    assert "not expected: HTTP status 200, expected 202" in ended.out


def test_one_wrong_answer_is_enough_to_end_with_1(proof: Any) -> None:
    good = Result(number=1, step=STEPS[2], answer=RIGHT, complaint="")
    whole = Ending(log_id="sha256:", results=[good, good], proof=proven(proof), seconds=1.0)
    assert whole.as_expected
    wrong = attrs.evolve(good, complaint="verdict DENY, expected ALLOW")
    assert not attrs.evolve(whole, results=[good, wrong]).as_expected
    assert not attrs.evolve(whole, proof=attrs.evolve(proven(proof), seen=())).as_expected


RIGHT: Final = Answer(http=200, verdict="ALLOW", status="SUCCESS", receipt_id="rcpt_1")


@pytest.mark.parametrize(
    ("expected", "answer", "said"),
    [
        (ALLOWED, attrs.evolve(RIGHT, http=201), "HTTP status 201"),
        (ALLOWED, attrs.evolve(RIGHT, verdict="DENY"), "verdict DENY"),
        (ALLOWED, attrs.evolve(RIGHT, status="FAILED"), "outcome FAILED"),
        (ALLOWED, attrs.evolve(RIGHT, code="PDP_DENY"), "reason code PDP_DENY"),
        (ALLOWED, attrs.evolve(RIGHT, receipt_id=""), "no receipt"),
        (ALLOWED, attrs.evolve(RIGHT, approval_id="apr_1"), "an approval id"),
        (attrs.evolve(ALLOWED, says="text"), RIGHT, "does not say"),
        (UNKNOWN_CALLER, Answer(http=401, receipt_id="rcpt_1"), "nothing was judged"),
        (
            ASKS_A_HUMAN,
            Answer(http=202, verdict="ESCALATE", status="ESCALATED", code="APPROVAL_REQUIRED", receipt_id="rcpt_1"),
            "no approval id",
        ),
        (refused("PDP_DENY"), Answer(http=403, verdict="DENY", status="DENIED", receipt_id="rcpt_1"), "missing"),
    ],
)
def test_every_part_of_an_answer_is_compared(expected: Expected, answer: Answer, said: str) -> None:
    assert said in expected.complaint(answer)


def test_a_second_receipt_for_one_call_and_one_receipt_for_two_are_seen() -> None:
    plain, again = (next(step for step in STEPS if step.again is wanted) for wanted in (False, True))
    before = [Result(number=1, step=plain, answer=RIGHT, complaint="")]
    assert about_receipt(again, RIGHT, before) == ""
    assert about_receipt(again, attrs.evolve(RIGHT, receipt_id="rcpt_2"), before) != ""
    assert about_receipt(plain, RIGHT, before) != ""
    assert about_receipt(plain, attrs.evolve(RIGHT, receipt_id="rcpt_2"), before) == ""


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the log and the pack of one demonstration."""
    kept = tmp_path_factory.mktemp("demo") / "kept"
    ended = helm("demo", "--json", "--keep", str(kept))
    assert ended.code == 0
    return ended.json()


def test_the_process_that_verifies_refuses_itself_the_network(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "actors.cli.offline", "receipts", "list", "--server", "http://127.0.0.1:9"]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "offline: " in ended.stderr


def test_a_pack_of_another_log_is_not_believed(proof: Any) -> None:
    verdict = verified_by_another(Path(proof["pack"]["path"]), "sha256:" + "0" * 64)
    assert verdict.code == 1
    assert verdict.failed is not None
    assert verdict.failed["name"] == "genesis"


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.99])
def test_a_byte_anywhere_is_noticed(proof: Any, share: float, tmp_path: Path) -> None:
    raw = bytearray(Path(proof["pack"]["path"]).read_bytes())
    raw[int(len(raw) * share)] ^= 1
    (tmp_path / "pack.tar").write_bytes(raw)
    assert helm("verify", str(tmp_path / "pack.tar"), "--log-id", proof["log_id"]).code == 1


NOTICED: Final = Verification(code=1, report={"authenticated": False, "checks": [{"ok": False}]})


def proven(proof: Any) -> Proof:
    """Return a proof that holds."""
    return Proof(
        seen=SEEN_BY_THE_WORLD,
        pack=Path("pack"),
        pack_bytes=1,
        receipts=proof["pack"]["receipts"],
        believed=Verification(code=0, report=proof["pack"]["report"]),
        refused=NOTICED,
    )


def test_a_proof_that_does_not_hold_is_not_called_one(proof: Any) -> None:
    good = proven(proof)
    assert good.holds
    assert not attrs.evolve(good, seen=SEEN_BY_THE_WORLD[1:]).holds
    assert not attrs.evolve(good, seen=(*SEEN_BY_THE_WORLD, "GET /")).holds
    assert not attrs.evolve(good, receipts=good.receipts + 1).holds
    assert not attrs.evolve(good, believed=NOTICED).holds
    assert not attrs.evolve(good, refused=good.believed).holds


def test_one_byte_is_one_byte() -> None:
    raw = b'...{"verdict":"DENY"}...'
    changed = with_one_byte_changed(raw)
    assert len(changed) == len(raw)
    assert sum(one != other for one, other in zip(raw, changed, strict=True)) == 1


def test_a_directory_that_holds_something_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    ended = helm("demo", "--keep", str(tmp_path))
    assert ended.code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
