"""helm checkpoint: taken, shown, proved under and checked, on a directory and on a running kernel."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.doors.serve import serve
from actors.installation import Installation
from actors.keys.bearer import BearerKeys, KeyClass
from actors.opening import open_kernel
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm


def public_key(made: Made) -> str:
    return made.place().execution_key().public_key


def receipts(made: Made) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = helm("receipts", "list", "--json", *made.option).json()
    return listed


def taken(made: Made) -> dict[str, Any]:
    ended = helm("checkpoint", "now", "--json", *made.option)
    assert ended.code == 0, ended.err
    body: dict[str, Any] = ended.json()
    return body


def test_one_is_taken_listed_and_shown(used: Made) -> None:
    one = taken(used)
    assert one["checkpoint"]["receipts_size"] == 3
    again = taken(used)  # a kernel started in between, and that is new
    assert again["checkpoint"]["prev_checkpoint_hash"] == one["checkpoint_hash"]
    listed = helm("checkpoint", "list", "--json", *used.option).json()["checkpoints"]
    assert listed == [one, again]
    for name in ("1", one["checkpoint_id"]):
        assert helm("checkpoint", "show", name, "--json", *used.option).json() == one
    assert helm("checkpoint", "show", "--json", *used.option).json() == again
    assert one["checkpoint_id"] in helm("checkpoint", "list", *used.option).out
    assert one["checkpoint_hash"] in helm("checkpoint", "show", "1", *used.option).out
    missing = helm("checkpoint", "show", "9", *used.option)
    assert (missing.code, "helm checkpoint list" in missing.err) == (1, True)


def test_a_receipt_is_proved_and_the_proof_is_checked_with_nothing_but_a_key(used: Made, tmp_path: Path) -> None:
    receipt_id = receipts(used)[0]["receipt_id"]
    early = helm("checkpoint", "prove", receipt_id, *used.option)
    assert (early.code, "no checkpoint covers" in early.err) == (1, True)
    taken(used)
    proof = tmp_path / "proof.json"
    assert helm("checkpoint", "prove", receipt_id, "-o", str(proof), *used.option).code == 0
    key = ("--execution-key", public_key(used))
    told = helm("checkpoint", "verify", str(proof), "--json", *key)
    assert (told.code, told.json()["about"]) == (0, receipt_id)
    assert helm("checkpoint", "verify", str(proof), *used.option).code == 0
    body = json.loads(proof.read_text())
    body["receipt"]["tool"] = "another"
    proof.write_text(json.dumps(body))
    assert helm("checkpoint", "verify", str(proof), *key).code == 1
    unknown = helm("checkpoint", "prove", "rcpt_" + "0" * 32, *used.option)
    assert (unknown.code, "nothing is known" in unknown.err) == (1, True)


def test_a_later_checkpoint_is_proved_to_continue_an_earlier_one(used: Made, tmp_path: Path) -> None:
    taken(used)
    taken(used)
    grown = tmp_path / "grown.json"
    assert helm("checkpoint", "prove", "2", "--since", "1", "-o", str(grown), *used.option).code == 0
    assert helm("checkpoint", "verify", str(grown), "--execution-key", public_key(used)).code == 0
    for words in (("prove", "1", "--since", "2"), ("prove", "9", "--since", "1")):
        assert helm("checkpoint", *words, *used.option).code == 1
    assert helm("checkpoint", "prove", "rcpt_0", "--since", "1", *used.option).code == 2


def test_notes_and_checkpoints_are_verified_and_compared(used: Made, tmp_path: Path) -> None:
    files = []
    for number in ("1", "2"):
        taken(used)
        note, document = tmp_path / f"{number}.note", tmp_path / f"{number}.json"
        note.write_text(helm("checkpoint", "show", number, "--note", *used.option).out)
        document.write_text(helm("checkpoint", "show", number, "--json", *used.option).out)
        files += [str(note), str(document)]
    key = ("--execution-key", public_key(used))
    for path in files:
        assert helm("checkpoint", "verify", path, *key).code == 0
        for other in files:
            assert helm("checkpoint", "compare", path, other, *key).code == 0
    assert helm("checkpoint", "verify", files[0], *used.option).code == 0
    Path(files[0]).write_text(Path(files[0]).read_text().replace("\n3\n", "\n4\n", 1))
    refused = helm("checkpoint", "verify", files[0], "--json", *key)
    assert (refused.code, refused.json()["verified"]) == (1, False)


def test_a_log_that_told_two_stories_is_convicted_by_its_own_signatures(used: Made, tmp_path: Path) -> None:
    """Two copies of one directory that each went on."""
    import shutil

    other = tmp_path / "other"
    shutil.copytree(used.path, other)
    paths = []
    for number, directory in enumerate((used.path, other)):
        if number:  # the copy tells of one stop more
            assert helm("freeze", "--reason", "a drill", "--data-dir", str(directory)).code == 0
        path = tmp_path / f"{number}.json"
        path.write_text(helm("checkpoint", "now", "--json", "--data-dir", str(directory)).out)
        paths.append(str(path))
    told = helm("checkpoint", "compare", *paths, "--execution-key", public_key(used), "--json")
    assert (told.code, told.json()["contradiction"]) == (1, "the log's key signed two checkpoints of number 1")


@pytest.mark.parametrize("words", [("verify",), ("compare", "x")])
def test_a_file_that_is_none_is_named(made: Made, tmp_path: Path, words: tuple[str, ...]) -> None:
    odd = tmp_path / "odd.json"
    missing = helm("checkpoint", *words, str(tmp_path / "missing"), *made.option)
    assert (missing.code, "cannot be read" in missing.err) == (1, True)
    odd.write_text("{")
    ended = helm("checkpoint", "verify", str(odd), *made.option)
    assert (ended.code, "is not JSON" in ended.err) == (1, True)


async def test_a_running_kernel_is_asked_over_http(used: Made, tmp_path: Path) -> None:
    place = Installation.open(used.path)
    keys = BearerKeys(tmp_path / "keys.json", ())
    admin = keys.issue(KeyClass.ADMIN, "", "operator", at_ms=0)
    async with open_kernel(place, policy=read_signed(place.policy_path), clock=SystemClock()) as kernel:
        from helm.config import Config

        door = await kernel.nursery.start(partial(serve, kernel, Config(port=0), keys))
        url = f"http://127.0.0.1:{door.address.port}"

        async def ask(*words: str) -> Ended:
            return await trio.to_thread.run_sync(
                partial(helm, "checkpoint", *words, "--server", url, *used.option, HELM_API_KEY=admin)
            )

        one = (await ask("now", "--json")).json()
        assert (await ask("show", "latest", "--json")).json() == one
        assert (await ask("show", "1", "--note")).out == one["note"]
        assert (await ask("list", "--json")).json() == {"checkpoints": [one]}
        told = await trio.to_thread.run_sync(
            partial(helm, "boundary", "checkpoint", "--verify", "1", "--server", url, "--json", HELM_API_KEY=admin)
        )
        assert (told.code, told.json()["verified"], len(told.json()["checks"])) == (0, True, 3)
        receipt_id = (await trio.to_thread.run_sync(receipts, used))[0]["receipt_id"]
        proof = tmp_path / "proof.json"
        assert (await ask("prove", receipt_id, "-o", str(proof))).code == 0
        assert (await ask("prove", "1", "--since", "1")).code == 0
        assert (await ask("prove", "rcpt_" + "0" * 32)).code == 1
    checked = await trio.to_thread.run_sync(partial(helm, "checkpoint", "verify", str(proof), *used.option))
    assert checked.code == 0


def test_a_witness_cosigns_and_its_line_stays(used: Made, tmp_path: Path) -> None:
    import base64
    import hashlib

    from helm.crypto.domains import KeyPurpose
    from helm.crypto.ed25519 import SigningKey

    witness = SigningKey.from_seed(b"w" * 32, KeyPurpose.WITNESS)
    added = helm("trust", "add", "witness", "--public-key", witness.public_key, "--reason", "ours", *used.option)
    assert added.code == 0, added.err
    note = taken(used)["note"]
    text, name = note.rpartition("\n\n")[0] + "\n", "witness.example/w1"
    signature = witness.sign(b"cosignature/v1\n", f"time 1760000500\n{text}".encode())
    hint = hashlib.sha256(name.encode() + b"\n\x04" + bytes.fromhex(witness.public_key)).digest()[:4]
    raw = hint + (1_760_000_500).to_bytes(8, "big") + bytes.fromhex(signature)
    file = tmp_path / "cosigned"
    file.write_text(f"{note}\u2014 {name} {base64.b64encode(raw).decode()}\n")
    ended = helm("checkpoint", "cosign", "1", str(file), *used.option)
    assert (ended.code, "1 of its lines" in ended.err) == (0, True)
    assert helm("checkpoint", "show", "1", "--note", *used.option).out == file.read_text()
    assert helm("receipts", "verify", *used.option).code == 0
    assert helm("checkpoint", "cosign", "9", str(file), *used.option).code == 1


def test_the_boundarys_own_name_for_them_does_the_same(used: Made) -> None:
    one = helm("boundary", "checkpoint", "--create", "--json", *used.option).json()
    assert helm("boundary", "checkpoint", "--json", *used.option).json() == {"checkpoints": [one]}
    assert one["checkpoint_id"] in helm("boundary", "checkpoint", *used.option).out
    verified = helm("boundary", "checkpoint", "--verify", one["checkpoint_id"], "--json", *used.option)
    assert (verified.code, verified.json()["checkpoint_hash"]) == (0, one["checkpoint_hash"])
    assert helm("boundary", "checkpoint", "--verify", "9", *used.option).code == 1
    assert helm("boundary", "checkpoint", "--verify", "1", "--create", *used.option).code == 2


def test_a_pack_reaches_the_checkpoint_that_its_reader_holds(used: Made, tmp_path: Path) -> None:
    taken(used)
    kept = taken(used)
    pack = tmp_path / "pack.tar"
    words = ("evidence", "export", "--session", "s1", "--tenant", "default", "-o", str(pack), "--force", *used.option)
    assert helm(*words).code == 0
    assert helm("verify", str(pack), "--checkpoint", kept["checkpoint_hash"]).code == 1
    assert helm(*words, "--through", "2").code == 0
    assert helm("verify", str(pack), "--checkpoint", kept["checkpoint_hash"]).code == 0
    early = helm(*words, "--through", "9")
    assert (early.code, "no checkpoint 9" in early.err) == (1, True)
