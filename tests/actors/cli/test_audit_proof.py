"""An act of administration is proved under a checkpoint to whoever has a key, and no other act is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helm.crypto.canonical import canonical
from helm.crypto.domains import NODE
from helm.crypto.hashing import hash_in
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm

Document = dict[str, Any]


def audit(made: Made, *words: str) -> Ended:
    return helm("audit", *words, *made.option)


@pytest.fixture
def stopped(used: Made) -> Made:
    """A log with a stop, a checkpoint over it, the lifting of the stop, and a second checkpoint."""
    for command in ("freeze", "unfreeze"):
        assert helm(command, "--reason", "a drill", *used.option).code == 0
        assert helm("checkpoint", "now", *used.option).code == 0
    return used


def stop_of(made: Made) -> str:
    acts = audit(made, "list", "--json").json()["acts"]
    return str(next(act["node_hash"] for act in acts if act["kind"] == "FREEZE"))


def checked(made: Made, document: Document, folder: Path) -> Ended:
    path = folder / "proof.json"
    path.write_text(json.dumps(document))
    key = made.place().execution_key().public_key
    return helm("checkpoint", "verify", str(path), "--execution-key", key, "--json")


@pytest.mark.parametrize("through", ["0", "2"])
def test_an_act_is_proved_with_nothing_but_a_key(stopped: Made, tmp_path: Path, through: str) -> None:
    act, out = stop_of(stopped), tmp_path / "out.json"
    assert audit(stopped, "prove", act, "--through", through, "-o", str(out)).code == 0
    told = checked(stopped, json.loads(out.read_text()), tmp_path)
    assert (told.code, told.json()["about"], told.json()["checkpoint"]) == (0, act, int(through) or 1)


def forged(document: Document) -> dict[str, Document]:
    """Return what somebody without the log's key makes of a proof."""
    act = document["act"]
    payload = act["payload"] | {"type": "NOTHING"}
    said = {name: value for name, value in act.items() if name != "node_hash"} | {"payload": payload}
    rehashed = said | {"node_hash": hash_in(NODE, canonical(said))}
    kinds = [node["kind"] for node in document["behind"]]
    checkpoint = kinds.index("CHECKPOINT")
    no_act = {"act": document["behind"][checkpoint], "behind": document["behind"][checkpoint + 1 :]}
    return {
        "a true node that is no act": document | no_act,
        "another payload": document | {"act": act | {"payload": payload}},
        "another payload under a true name": document | {"act": rehashed},
        "an act left out": document | {"behind": document["behind"][1:]},
        "the last act left out": document | {"behind": document["behind"][:-1]},
        "acts moved": document | {"behind": document["behind"][::-1]},
        "an act doubled": document | {"behind": [*document["behind"], document["behind"][-1]]},
        "a chain of no acts": document | {"behind": [1]},
        "no chain": document | {"behind": {}},
        "a spare member": document | {"zz": 1},
        "a call's node": document | {"act": act | {"session_id": "s1", "tenant": "default"}},
    }


def test_a_proof_that_was_changed_in_any_way_is_refused(stopped: Made, tmp_path: Path) -> None:
    document = audit(stopped, "prove", stop_of(stopped), "--through", "2").json()
    assert len(document["behind"]) > 2
    ended = {name: checked(stopped, one, tmp_path).code for name, one in forged(document).items()}
    assert ended == dict.fromkeys(ended, 1)


def test_a_checkpoint_that_somebody_else_signed_proves_nothing(stopped: Made, tmp_path: Path) -> None:
    document = audit(stopped, "prove", stop_of(stopped)).json()
    document["under"]["signature"] = "0" * 128
    assert checked(stopped, document, tmp_path).code == 1


def test_an_act_under_the_checkpoint_of_another_time_is_not_proved(stopped: Made, tmp_path: Path) -> None:
    early, late = (audit(stopped, "prove", stop_of(stopped), "--through", n).json() for n in ("1", "2"))
    assert checked(stopped, early | {"under": late["under"]}, tmp_path).code == 1
    assert checked(stopped, late | {"under": early["under"]}, tmp_path).code == 1


def test_what_is_no_act_or_not_covered_is_told_so(used: Made) -> None:
    assert helm("freeze", "--reason", "a drill", *used.option).code == 0
    early = audit(used, "prove", stop_of(used))
    assert (early.code, "helm checkpoint now" in early.err) == (1, True)
    receipts = helm("receipts", "list", "--json", *used.option).json()
    for wanted in ("sha256:" + "0" * 64, receipts[0]["intent_node"] or "none"):
        assert audit(used, "prove", wanted).code == 1


def hash_of(made: Made, number: str) -> str:
    told: Document = helm("checkpoint", "show", number, "--json", *made.option).json()
    return str(told["checkpoint_hash"])


def test_a_whole_log_is_held_against_a_checkpoint_that_somebody_kept(stopped: Made) -> None:
    kept, act = hash_of(stopped, "1"), stop_of(stopped)
    assert audit(stopped, "verify", "--checkpoint", kept).code == 0
    assert audit(stopped, "verify", "--checkpoint", kept, "--act", act).code == 0
    last = audit(stopped, "list", "--json").json()["acts"][-1]["node_hash"]
    later = audit(stopped, "verify", "--checkpoint", kept, "--act", last, "--json")
    assert (later.code, "does not lie under" in later.err) == (1, True)
    unknown = audit(stopped, "verify", "--checkpoint", "sha256:" + "0" * 64)
    assert (unknown.code, "not in the log" in unknown.err) == (1, True)
    assert audit(stopped, "verify", "--act", act).code == 2
