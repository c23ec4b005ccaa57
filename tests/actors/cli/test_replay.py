"""helm replay: what was decided is what the policy decides, or the first call that is not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.helm.evidence.forger import a_log, a_pack, flipped, pack_of
from tests.helm.evidence.lying import lying_log


@pytest.fixture
def pack(used: Made, tmp_path: Path) -> Path:
    """Return the pack of a session of three calls."""
    path = tmp_path / "s1.tar"
    assert helm("evidence", "export", "--session", "s1", "-o", str(path), *used.option).code == 0
    return path


def test_every_call_comes_out_as_it_was(used: Made, pack: Path) -> None:
    ended = helm("replay", str(pack), "--verify", "--log-id", used.log_id)
    assert ended.code == 0
    assert "REPLAYED" in ended.out
    assert "3 calls came out as they were, 0 without facts" in ended.out
    whole = helm("replay", str(pack), "--json", *used.option)
    assert [call["verdict"] for call in whole.json()["calls"]] == ["ALLOW", "DENY", "ESCALATE"]
    assert whole.json()["verified"] is True
    listed = helm("replay", str(pack), *used.option)
    assert listed.out.count("files.read") == 3


def test_calls_without_facts_are_counted_and_named(used: Made, tmp_path: Path) -> None:
    path = tmp_path / "redacted.tar"
    assert helm("evidence", "export", "--session", "s1", "-o", str(path), "--redact-facts", *used.option).code == 0
    told = helm("replay", str(path), "--verify", "--log-id", used.log_id, "--json").json()
    assert (told["verified"], told["judged"], told["redacted"]) == (True, 0, 3)
    assert "calls" not in told


def test_a_changed_pack_is_not_judged_at_all(tmp_path: Path) -> None:
    path = tmp_path / "changed.tar"
    path.write_bytes(flipped(a_pack()))
    ended = helm("replay", str(path), "--verify", "--log-id", a_log().log_id, "--json")
    assert ended.code == 1
    assert ended.json()["failed_check"]["name"] == "manifest"
    assert (ended.json()["verified"], ended.json()["judged"]) == (False, 0)
    assert "NOT AUTHENTICATED by check 2" in helm("replay", str(path), "--log-id", a_log().log_id).out


def test_the_first_call_that_the_policy_decides_otherwise_is_named(tmp_path: Path) -> None:
    log, path = lying_log(), tmp_path / "lie.tar"
    path.write_bytes(pack_of(log))
    assert helm("verify", str(path), "--log-id", log.log_id).code == 0  # everything is sealed and signed
    ended = helm("replay", str(path), "--verify", "--log-id", log.log_id, "--json")
    assert ended.code == 1
    told = ended.json()
    assert (told["authenticated"], told["verified"], told["judged"]) == (True, False, 1)
    divergence = told["divergence"]
    assert (divergence["member"], divergence["was"], divergence["now"]) == ("verdict", "ALLOW", "DENY")
    people = helm("replay", str(path), "--verify", "--log-id", log.log_id)
    assert f"DIVERGED at lamport {divergence['lamport']}, decision {divergence['decision_id']}" in people.out


def test_a_replay_needs_a_trust_root_too(pack: Path) -> None:
    assert helm("replay", str(pack), "--verify").code == 2


def test_a_pack_is_verified_under_its_own_name_too(used: Made, pack: Path) -> None:
    ended = helm("pack", "verify", str(pack), "--log-id", used.log_id)
    assert ended.code == 0
    assert ended.out == helm("verify", str(pack), "--log-id", used.log_id).out
