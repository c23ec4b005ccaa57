"""Host evidence on the command line: verified, attached, correlated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helm.evidence.layout import MANIFEST, NATIVE
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm
from tests.helm.evidence.forger import unpacked
from tests.helm.evidence.recorder import ED25519, ES256, Recorder, jsonl, of_chain


def a_chain(folder: Path) -> tuple[str, str]:
    """Write a chain whose one connection no call explains; return its file and the recorder's key."""
    one = Recorder()
    one.saw(agent_id="agent")
    (folder / "chain.jsonl").write_bytes(jsonl(one.bodies))
    return str(folder / "chain.jsonl"), one.public_key


def attached(used: Made, folder: Path) -> str:
    """Return a pack of the log with that chain beside it."""
    chain, key = a_chain(folder)
    pack, out = str(folder / "pack.tar"), str(folder / "watched.tar")
    assert helm("evidence", "export", "--whole", "-o", pack, *used.option).code == 0
    words = ("--bundle", pack, "--chain", chain, "--out", out, "--source", "host-1", "--public-key", key)
    ended = helm("evidence", "attach-host-chain", *words, "--json", *used.option)
    assert ended.code == 0, ended.err
    assert ended.json()["native_evidence_hash"].startswith("sha256:")
    assert (ended.json()["signatures"], ended.json()["hardware_root"]) == ("verified", "not verified")
    return out


def correlated(used: Made, pack: str, *words: str) -> Ended:
    return helm("evidence", "correlate-host", "--bundle", pack, *words, *used.option)


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


def test_a_chain_is_attached_and_the_pack_as_it_was_stays_inside(used: Made, tmp_path: Path) -> None:
    out = attached(used, tmp_path)
    members = unpacked(Path(out).read_bytes())
    assert members[NATIVE] == unpacked((tmp_path / "pack.tar").read_bytes())[MANIFEST]
    told = helm("verify", out, "--log-id", used.log_id)
    assert (told.code, "1 host receipts beside it, which are not HELM's word" in told.out) == (0, True)
    key = Recorder().public_key
    assert helm("verify", out, "--log-id", used.log_id, "--host-key", f"host-1={key}").code == 0
    other = Recorder(number=2).public_key
    refused = helm("verify", out, "--log-id", used.log_id, "--host-key", f"host-1={other}")
    assert (refused.code, "NOT AUTHENTICATED by check 19, host" in refused.out) == (1, True)
    assert helm("verify", out, "--log-id", used.log_id, "--host-key", "host-1").code == 2
    assert helm("replay", out, "--log-id", used.log_id).code == 0


def test_what_was_attached_once_is_neither_attached_again_nor_written_over(used: Made, tmp_path: Path) -> None:
    out = attached(used, tmp_path)
    chain = str(tmp_path / "chain.jsonl")
    words = ("evidence", "attach-host-chain", "--chain", chain, "--source", "host-1", *used.option)
    assert "is there already" in helm(*words, "--bundle", out, "--out", out).err
    again = helm(*words, "--bundle", out, "--out", str(tmp_path / "again.tar"))
    assert (again.code, (tmp_path / "again.tar").exists()) == (1, False)


def test_a_chain_that_its_key_did_not_sign_is_not_attached(used: Made, tmp_path: Path) -> None:
    attached(used, tmp_path)
    words = ("--bundle", str(tmp_path / "pack.tar"), "--chain", str(tmp_path / "chain.jsonl"), "--source", "b")
    other = ("--public-key", Recorder(number=2).public_key, "--out", str(tmp_path / "b.tar"))
    ended = helm("evidence", "attach-host-chain", *words, *other, *used.option)
    assert (ended.code, (tmp_path / "b.tar").exists()) == (1, False)


def test_drift_is_told_signed_noted_in_a_pack_and_verified_there(used: Made, tmp_path: Path) -> None:
    out, noted = attached(used, tmp_path), str(tmp_path / "noted.tar")
    ended = correlated(used, out, "--json", "--out", noted, "--host-key", f"host-1={Recorder().public_key}")
    assert ended.code == 1
    body: dict[str, Any] = ended.json()
    assert [one["drift"]["reason_code"] for one in body["drift"]] == ["ERR_HOST_EGRESS_WITHOUT_INTENT"]
    assert (body["signed"], body["unverified_sources"]) == (True, [])
    assert body["matches"][0]["score"] == 0
    told = helm("verify", noted, "--log-id", used.log_id, "--json")
    assert (told.code, told.json()["subject"]["drifts"]) == (0, 1)
    table = correlated(used, noted)
    assert (table.code, "ERR_HOST_EGRESS_WITHOUT_INTENT" in table.out, "bring its key" in table.err) == (1, True, True)
    assert correlated(used, noted, "--out", str(tmp_path / "twice.tar")).code == 1


def test_whoever_has_no_key_of_the_log_is_told_the_drift_unsigned(used: Made, tmp_path: Path) -> None:
    out = attached(used, tmp_path)
    elsewhere = ("--data-dir", str(tmp_path / "nowhere"), "--log-id", used.log_id)
    ended = helm("evidence", "correlate-host", "--bundle", out, "--json", *elsewhere)
    assert (ended.code, ended.json()["signed"], ended.json()["drift"][0]["signature"]) == (1, False, "")
    wanted = helm("evidence", "correlate-host", "--bundle", out, "--out", str(tmp_path / "x.tar"), *elsewhere)
    assert "nobody here may sign" in wanted.err


def test_a_pack_without_host_evidence_is_told_what_to_do(used: Made, tmp_path: Path) -> None:
    pack = str(tmp_path / "pack.tar")
    assert helm("evidence", "export", "--session", "s1", "-o", pack, *used.option).code == 0
    ended = correlated(used, pack)
    assert (ended.code, "attach-host-chain" in ended.err) == (1, True)
