"""helm receipts verify FILE: receipts that somebody sent, against a key that the reader brought."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from actors.cli.receipt_lines import MAX_LIST_BYTES, verify_file
from helm.contracts.errors import Invalid
from helm.evidence.receipt_lines import MAX_RECEIPT_BYTES
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm


def key_of(used: Made) -> str:
    """Return the public key that signs the receipts of a data directory, as its own command tells it."""
    keys: list[dict[str, Any]] = helm("trust", "keys", "--json", *used.option).json()["keys"]
    [key] = [key["public_key"] for key in keys if key["purpose"] == "execution"]
    return str(key)


def verified(used: Made, file: Path, *more: str) -> Ended:
    """Verify a file, trusting the key of a data directory."""
    return helm("receipts", "verify", str(file), "--execution-key", key_of(used), *more)


@pytest.fixture
def listed(used: Made, tmp_path: Path) -> Path:
    """Return the list of receipts that `helm receipts list` writes."""
    path = tmp_path / "receipts.json"
    path.write_text(helm("receipts", "list", "--json", *used.option).out)
    return path


@pytest.fixture
def lines(listed: Path, tmp_path: Path) -> Path:
    """Return the receipts one on a line, as `helm receipts tail` writes them."""
    path = tmp_path / "receipts.jsonl"
    path.write_text("".join(json.dumps(receipt) + "\n" for receipt in json.loads(listed.read_text())))
    return path


def test_what_the_list_writes_verifies(used: Made, listed: Path) -> None:
    told = verified(used, listed, "--json")
    assert (told.code, told.json()) == (
        0,
        {"verified": True, "log_id": used.log_id, "receipts": 3, "sessions": 1, "missing": 0},
    )


def test_lines_verify_and_say_so_to_people(used: Made, lines: Path) -> None:
    told = verified(used, lines, "--log-id", used.log_id)
    assert told.code == 0
    assert "verified" in told.out
    assert "ok" in told.out


def test_lines_are_read_from_stdin(used: Made, lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(used)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes())))
    assert helm("receipts", "verify", "-", "--execution-key", key, "--json").json()["receipts"] == 3


def test_a_receipt_that_was_changed_is_refused_by_its_line(used: Made, lines: Path) -> None:
    lines.write_text(lines.read_text().replace('"verdict": "DENY"', '"verdict": "ALLOW"'))
    told = verified(used, lines)
    assert told.code == 1
    assert f"{lines}:2" in told.err
    assert "verified" not in told.out


def test_a_receipt_that_is_missing_is_refused_unless_a_part_was_asked_for(used: Made, lines: Path) -> None:
    first, _, last = lines.read_text().splitlines(keepends=True)
    lines.write_text(first + last)
    assert verified(used, lines).code == 1
    told = verified(used, lines, "--part", "--json").json()
    assert (told["receipts"], told["missing"]) == (2, 1)


def test_a_second_log_is_refused(used: Made, lines: Path) -> None:
    assert verified(used, lines, "--log-id", "sha256:" + "0" * 64).code == 1


def test_whoever_brings_no_key_is_told_to(lines: Path) -> None:
    told = helm("receipts", "verify", str(lines))
    assert told.code == 2
    assert "cannot vouch for themselves" in " ".join(told.err.split())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--execution-key", "ab"), "the public key"),
        (("--execution-key", "00" * 32), "low order"),
        (("--execution-key", "key_" + "0" * 32), "is a key's id, not the key"),
        (("--log-id", "sha256:0"), "a log_id is sha256: and 64"),
    ],
    ids=["no key", "a weak key", "the name of a key", "no log"],
)
def test_what_is_no_pin_is_refused_as_a_pack_s_reader_is_refused(
    used: Made, lines: Path, words: tuple[str, ...], why: str
) -> None:
    told = verified(used, lines, *words)
    as_a_pack = helm("verify", str(lines), *words)
    assert why in told.err
    assert (told.code, told.err) == (as_a_pack.code, as_a_pack.err)


def test_the_table_of_keys_shows_what_a_reader_is_to_bring(used: Made) -> None:
    [row] = [row for row in helm("trust", "keys", *used.option).out.splitlines() if row.startswith("execution")]
    assert key_of(used) in row.split()


@pytest.mark.parametrize("option", [("--part",), ("--execution-key", "00" * 32)])
def test_what_is_about_a_file_asks_for_one(used: Made, option: tuple[str, ...]) -> None:
    assert helm("receipts", "verify", *option, *used.option).code == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "holds no receipt"),
        ("[]", "holds no receipt"),
        ("{}", "is not an object sealed"),
        ('{"a', "has no end"),
        ("{\n", "is not JSON"),
        ("{\n}", "is not an object sealed"),
        ("{\n}\n{}\n", "one on a line"),
        ("{}\n", "is not an object sealed"),
        ("[1]", "is not an object sealed"),
        ("[", "does not end where its list does"),
        ("[]]", "does not end where its list does"),
        ("[,]", "is not JSON"),
        ("[" * 10_000, "is not JSON"),
        ('["\\ud800"]', "is not JSON"),
        ('["' + "x" * MAX_RECEIPT_BYTES + '"]', "longer than any receipt"),
        (" " * (MAX_RECEIPT_BYTES + 1) + "\n", "longer than any receipt"),
        ("[" + " " * MAX_LIST_BYTES + "]", "is a list of more than"),
    ],
)
def test_a_file_that_proves_nothing_is_refused(used: Made, tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "odd"
    path.write_text(content)
    told = verified(used, path)
    assert told.code == 1
    assert why in told.err


def test_a_file_that_is_not_there_is_refused(used: Made, tmp_path: Path) -> None:
    assert "name a file that is there" in verified(used, tmp_path / "nothing").err


@pytest.mark.parametrize("missing", [2, 3, 40, 400])
def test_a_last_line_that_was_cut_off_is_refused(used: Made, lines: Path, missing: int) -> None:
    lines.write_text(lines.read_text()[:-missing])
    assert "has no end" in verified(used, lines).err


@pytest.mark.parametrize("end", ["", ",", ",]", "]2", "]]", "]\v", "] ["])
def test_a_list_that_does_not_end_as_one_is_refused_though_its_receipts_are_true(
    used: Made, listed: Path, end: str
) -> None:
    listed.write_text(listed.read_text().rstrip().removesuffix("]") + end)
    told = verified(used, listed, "--json")
    assert (told.code, told.out) == (1, "")


@pytest.mark.parametrize("join", [",", "\n,\t", " , "])
def test_how_a_list_is_spaced_says_nothing(used: Made, listed: Path, join: str) -> None:
    receipts = json.loads(listed.read_text())
    listed.write_text("[ " + join.join(map(json.dumps, receipts)) + " ]\r\n ")
    assert verified(used, listed, "--json").json()["receipts"] == len(receipts)


def test_a_list_of_very_many_small_things_does_not_come_to_many_times_its_size(used: Made, tmp_path: Path) -> None:
    path = tmp_path / "flood.json"
    path.write_bytes(b"[" + b"{}," * 2_000_000 + b"{}]")
    key = key_of(used)
    tracemalloc.start()
    try:
        with pytest.raises(Invalid, match="is not an object sealed"):
            verify_file(str(path), [key], "", in_part=False)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2 * MAX_LIST_BYTES


def test_a_whole_last_line_verifies_though_its_end_is_missing(used: Made, lines: Path) -> None:
    lines.write_text(lines.read_text()[:-1])
    assert verified(used, lines, "--json").json()["receipts"] == 3


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("end", ["", "\n"])
def test_one_receipt_verifies_however_it_is_spread(used: Made, lines: Path, indent: int | None, end: str) -> None:
    first = json.loads(lines.read_text().splitlines()[0])
    lines.write_text(json.dumps(first, indent=indent) + end)
    assert verified(used, lines, "--json").json()["receipts"] == 1


def test_a_spread_receipt_that_was_changed_or_cut_off_is_refused(used: Made, lines: Path) -> None:
    spread = json.dumps(json.loads(lines.read_text().splitlines()[0]), indent=2)
    for changed in (spread[:-1], spread[:-40], spread.replace('"ALLOW"', '"DENY"'), spread + spread):
        lines.write_text(changed)
        assert verified(used, lines).code == 1


def test_what_holds_a_receipt_is_not_taken_for_one(used: Made, lines: Path, tmp_path: Path) -> None:
    receipt = json.loads(lines.read_text().splitlines()[0])
    told = helm("receipts", "show", receipt["receipt_id"], "--json", *used.option).out
    path = tmp_path / "told.json"
    for holds, member in (
        (told, "receipt"),
        (json.dumps({"output": {}, "receipt": receipt, "verdict": "ALLOW"}), "receipt"),
        (json.dumps({"receipts": [receipt], "next": None}), "receipts"),
    ):
        path.write_text(holds)
        ended = verified(used, path)
        assert (ended.code, ended.out) == (1, "")
        assert f"that is its member `{member}`" in ended.err
        assert "give that member alone" in ended.err


def test_a_file_of_the_name_of_stdin_is_verified_itself(
    used: Made, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = lines.read_bytes()
    (tmp_path / "-").write_bytes(true.replace(b'"ALLOW"', b'"DENY"', 1))
    key = key_of(used)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(true)))
    told = helm("receipts", "verify", "./-", "--execution-key", key)
    assert (told.code, "./-:1" in told.err) == (1, True)


def test_a_pin_that_was_left_empty_pins_nothing_and_is_refused(used: Made, lines: Path) -> None:
    for words in (("--log-id", ""), ("--log-id=",)):
        told = verified(used, lines, *words)
        assert (told.code, "--log-id is empty" in told.err) == (2, True)
    assert helm("receipts", "verify", "--log-id", "", *used.option).code == 2
