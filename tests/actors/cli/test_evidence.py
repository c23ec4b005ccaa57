"""helm evidence export, helm verify: a pack that a stranger believes because of what the stranger brought."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from actors.opening import open_kernel
from helm.evidence.verify import CHECKS
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm

EXPORT = ("evidence", "export", "--session", "s1")


@pytest.fixture
def pack(used: Made, tmp_path: Path) -> Path:
    """Return the pack of the session that was used."""
    path = tmp_path / "s1.tar"
    assert helm(*EXPORT, "-o", str(path), *used.option).code == 0
    return path


def test_a_session_is_exported_with_every_receipt(used: Made, tmp_path: Path) -> None:
    path = tmp_path / "s1.tar"
    ended = helm(*EXPORT, "-o", str(path), "--json", *used.option)
    assert ended.code == 0
    assert ended.json()["receipts"] == 3
    assert ended.json()["bytes"] == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"--log-id {used.log_id}" in ended.err


async def test_a_session_is_exported_while_a_kernel_runs(used: Made, tmp_path: Path) -> None:
    async with open_kernel(used.path, policy=None):
        ended = helm(*EXPORT, "-o", str(tmp_path / "s1.tar"), *used.option)
    assert ended.code == 0


def test_a_file_that_is_there_is_kept_unless_told_otherwise(used: Made, tmp_path: Path) -> None:
    path = tmp_path / "thesis.tar"
    path.write_text("years of work")
    ended = helm(*EXPORT, "-o", str(path), "--json", *used.option)
    assert ended.code == 1
    assert ended.failure()["code"] == "EXISTS"
    assert path.read_text() == "years of work"
    assert helm(*EXPORT, "-o", str(path), "--force", *used.option).code == 0


def test_a_session_nobody_knows_is_refused(used: Made, tmp_path: Path) -> None:
    path = tmp_path / "none.tar"
    for words in (("--session", "s2"), ("--session", "s1", "--tenant", "other")):
        ended = helm("evidence", "export", *words, "-o", str(path), *used.option)
        assert ended.code == 1
        assert not path.exists()


def test_the_whole_log_and_a_range_of_time_are_exported_too(used: Made, tmp_path: Path) -> None:
    for name, words in (("whole", ("--whole",)), ("range", ("--from", "2020-01-01T00:00:00Z"))):
        path = tmp_path / f"{name}.tar"
        ended = helm("evidence", "export", *words, "-o", str(path), "--json", *used.option)
        assert ended.code == 0
        assert (ended.json()["scope"], ended.json()["sessions"], ended.json()["receipts"]) == (name, 1, 3)
        told = helm("verify", str(path), "--log-id", used.log_id)
        assert told.code == 0
        assert "3 receipts of 1 sessions" in told.out
    early = ("--from", "1999-12-31", "--until", "2000-01-01T00:00:00+01:00")
    ended = helm("evidence", "export", *early, "-o", str(tmp_path / "none.tar"), *used.option)
    assert ended.code == 1
    assert not (tmp_path / "none.tar").exists()


@pytest.mark.parametrize(
    "words",
    [(), ("--whole", "--session", "s1"), ("--whole", "--from", "2026-01-01"), ("--from", "monday"), ("--until", "")],
)
def test_an_export_is_of_one_thing(used: Made, tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = helm("evidence", "export", *words, "-o", str(tmp_path / "none.tar"), *used.option)
    assert ended.code == 2


def test_the_table_of_checks_has_one_column_for_every_name(used: Made, tmp_path: Path) -> None:
    path = tmp_path / "p.tar"
    helm(*EXPORT, "-o", str(path), *used.option)
    table = helm("verify", str(path), "--log-id", used.log_id).out.splitlines()[: len(CHECKS)]
    told_at = {len(line) - len(line.partition(name)[2].lstrip()) for line, (name, _) in zip(table, CHECKS, strict=True)}
    assert len(told_at) == 1


def test_arguments_may_be_left_out_and_the_rest_still_verifies(used: Made, tmp_path: Path) -> None:
    path = tmp_path / "redacted.tar"
    assert helm(*EXPORT, "-o", str(path), "--redact-facts", *used.option).code == 0
    assert b"salaries" not in path.read_bytes()
    assert helm("verify", str(path), "--log-id", used.log_id).code == 0


def test_a_pack_is_believed_by_whoever_knows_the_log(used: Made, pack: Path) -> None:
    ended = helm("verify", str(pack), "--log-id", used.log_id)
    assert ended.code == 0
    assert all(f" {name} " in ended.out for name, _ in CHECKS)
    assert "AUTHENTICATED" in ended.out
    assert "3 receipts of session s1 of default" in ended.out


def test_ones_own_log_is_trusted_only_when_that_is_said(used: Made, pack: Path) -> None:
    ended = helm("verify", str(pack), *used.option)
    assert ended.code == 0
    assert f"trusting the genesis of {used.path}" in ended.err
    assert helm("verify", str(pack), HELM_DATA_DIR=str(used.path)).code == 2


def test_a_key_is_a_trust_root_too(used: Made, pack: Path) -> None:
    assert helm("verify", str(pack), "--execution-key", used.place().execution_key().public_key).code == 0
    assert helm("verify", str(pack), "--genesis-key", used.place().trust_admin_key().public_key).code == 0
    assert helm("verify", str(pack), "--execution-key", used.place().policy_key().public_key).code == 1


def test_a_pack_cannot_vouch_for_itself(pack: Path) -> None:
    ended = helm("verify", str(pack), "--json")
    assert ended.code == 2
    assert "cannot vouch for itself" in ended.failure()["message"]


def test_two_logs_cannot_both_be_the_trusted_one(used: Made, pack: Path) -> None:
    assert helm("verify", str(pack), "--log-id", "sha256:" + "0" * 64, *used.option).code == 2


@pytest.mark.parametrize("log_id", ["sha256:" + "0" * 64, "sha256:short"])
def test_a_pack_of_another_log_is_not_believed(pack: Path, log_id: str) -> None:
    assert helm("verify", str(pack), "--log-id", log_id).code == 1


def test_a_changed_pack_is_refused_by_a_check_with_a_name(used: Made, pack: Path) -> None:
    pack.write_bytes(pack.read_bytes().replace(b'"verdict":"DENY"', b'"verdict":"DENX"', 1))
    ended = helm("verify", str(pack), "--log-id", used.log_id, "--json")
    assert ended.code == 1
    failed = next(check for check in ended.json()["checks"] if not check["ok"])
    assert (failed["number"], failed["name"]) == (2, "manifest")
    people = helm("verify", str(pack), "--log-id", used.log_id)
    assert "NOT AUTHENTICATED by check 2, manifest" in people.out


def test_a_pack_that_is_not_there_is_refused(tmp_path: Path) -> None:
    ended = helm("verify", str(tmp_path / "none.tar"), "--log-id", "sha256:" + "0" * 64, "--json")
    assert ended.code == 1
    assert ended.failure()["code"] == "INVALID"


def test_the_report_is_one_object_for_programs(used: Made, pack: Path) -> None:
    told: dict[str, Any] = json.loads(helm("verify", str(pack), "--log-id", used.log_id, "--json").out)
    assert told["authenticated"] is True
    assert [check["name"] for check in told["checks"]] == [name for name, _ in CHECKS]
    assert told["subject"]["log_id"] == used.log_id


def test_a_session_is_drawn_in_every_form(used: Made, pack: Path, tmp_path: Path) -> None:
    text = helm("evidence", "graph", str(pack), *used.option)
    assert text.code == 0
    for word in ("POLICY_ACTIVATED", "INTENT files.read", "REFUSAL files.read_private"):
        assert word in text.out
    out = tmp_path / "s1.html"
    for form, begin in (("svg", "<svg "), ("html", "<!doctype html>")):
        out = tmp_path / f"s1.{form}"
        assert helm("evidence", "graph", str(pack), "-o", str(out), *used.option).code == 0
        assert out.read_text().startswith(begin)
    marks = helm("evidence", "graph", str(pack), "--json", "--log-id", used.log_id).json()["marks"]
    assert [mark["lamport"] for mark in marks] == sorted(mark["lamport"] for mark in marks)
    again = helm("evidence", "graph", str(pack), "-o", str(out), "--json", "--format", "html", *used.option)
    assert again.code == 0  # with --json nothing is written
    taken = helm("evidence", "graph", str(pack), "-o", str(out), *used.option)
    assert (taken.code, "is there already" in taken.err) == (1, True)


def test_a_pack_that_does_not_verify_is_neither_drawn_nor_compared(used: Made, pack: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged.tar"
    forged.write_bytes(pack.read_bytes().replace(b"ESCALATE", b"ALLOWED!"))
    out = tmp_path / "forged.svg"
    assert helm("evidence", "graph", str(forged), "-o", str(out), *used.option).code != 0
    assert not out.exists()
    for words in ((forged, pack), (pack, forged)):
        ended = helm("evidence", "diff", *map(str, words), *used.option)
        assert ended.code not in (0, 1) or "the same" not in ended.out


def test_packs_are_compared(used: Made, pack: Path, tmp_path: Path) -> None:
    other = tmp_path / "redacted.tar"
    assert helm(*EXPORT, "--redact-facts", "-o", str(other), *used.option).code == 0
    same = helm("evidence", "diff", str(pack), str(other), "--json", *used.option)
    assert (same.code, same.json()["equal"], same.json()["same"]) == (0, True, 3)
