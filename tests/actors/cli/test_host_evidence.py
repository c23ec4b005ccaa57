"""Host evidence on the command line: verified, attached, correlated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actors.cli.shell import helm
from tests.helm.evidence.recorder import ED25519, ES256, Recorder, jsonl, of_chain


@pytest.mark.parametrize("algorithm", [ED25519, ES256])
def test_a_chain_verifies_under_the_key_that_the_caller_brings(algorithm: str, tmp_path: Path) -> None:
    one = Recorder(algorithm)
    one.saw(hardware_root={"type": "tpm2", "verified": True})
    one.saw()
    chain, key = tmp_path / "chain.json", tmp_path / "key.hex"
    chain.write_bytes(of_chain(one.bodies))
    key.write_text(one.public_key + "\n")
    words = ("verify", "external-receipt", "--chain", str(chain), "--public-key")
    by_file, written_out = helm(*words, str(key), "--json"), helm(*words, one.public_key)
    assert (by_file.code, written_out.code) == (0, 0), by_file.err
    assert by_file.json()["chain"]["hardware_root"] == "not verified"
    assert "1 of them claim a hardware root: not verified" in written_out.out
    assert [check["name"] for check in by_file.json()["checks"]] == [
        *("file", "structure", "hashes", "links", "signatures"),
    ]


def test_another_key_refuses_and_names_the_check(tmp_path: Path) -> None:
    one = Recorder()
    one.saw()
    chain = tmp_path / "chain.jsonl"
    chain.write_bytes(jsonl(one.bodies))
    ended = helm("verify", "external-receipt", "--chain", str(chain), "--public-key", Recorder(number=2).public_key)
    assert (ended.code, "signatures" in ended.out, "NOT VERIFIED" in ended.out) == (1, True, True)


def test_a_missing_file_and_a_missing_option_are_told_apart(tmp_path: Path) -> None:
    words = ("verify", "external-receipt", "--public-key", Recorder().public_key)
    assert helm(*words, "--chain", str(tmp_path / "nowhere")).code == 1
    assert helm(*words).code == 2
    (tmp_path / "key").write_text("0" * 5000)
    chain = tmp_path / "chain"
    chain.write_bytes(b"{}")
    assert helm("verify", "external-receipt", "--chain", str(chain), "--public-key", str(tmp_path / "key")).code == 1


def test_help_tells_of_it() -> None:
    assert "external-receipt" in helm("verify", "--help").out
    assert "--public-key" in helm("verify", "external-receipt", "--help").out
