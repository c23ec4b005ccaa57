"""A pack says everything about one session, and says it in the same bytes wherever it is made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.evidence.layout import EVENTS, FRONTIER, HEAD, MANIFEST, SCRIPT, SNAPSHOT
from helm.evidence.pack import PackMaterial, build
from helm.evidence.selection import Selection
from helm.evidence.verify import verify_pack
from tests.counterparts import pythons
from tests.helm.evidence import forger
from tests.helm.evidence.forger import (
    FACT_LINES,
    NODE_LINES,
    a_log,
    a_pack,
    lines_of,
    pack_of,
    refusing_check,
    root_of,
    unpacked,
)
from tests.helm.evidence.material import TENANT, Log, policy_of

ROOT = Path(__file__).resolve().parents[3]

PRINT_DIGEST = """
import hashlib, os
os.umask(int(os.environ["UMASK"]))
from tests.helm.evidence.forger import a_pack
print(hashlib.sha256(a_pack()).hexdigest())
"""


def test_a_pack_of_a_true_log_is_authenticated() -> None:
    report = verify_pack(a_pack(), root_of(a_log()))
    assert report.authenticated
    assert report.subject.session_id == "s1"
    assert report.subject.receipts == 4
    assert report.subject.open_intents == 1


def test_a_pack_holds_one_session_and_what_it_stands_on() -> None:
    members = unpacked(a_pack())
    nodes = lines_of(members[NODE_LINES])
    assert {(node["tenant"], node["session_id"]) for node in nodes} == {("", ""), (TENANT, "s1")}
    assert b'"s2"' not in b"".join(members.values())
    folders = {path.partition("/")[0] for path in members}
    assert folders == {
        *("checkpoints", "facts", "inclusion", "manifest.json", "policy", "proofgraph"),
        *("receipts", "records", "replay", "schemas", "trust"),
    }
    for path in (MANIFEST, EVENTS, FRONTIER, SNAPSHOT, HEAD, SCRIPT):
        assert path in members


def test_the_same_material_makes_the_same_bytes() -> None:
    assert pack_of(a_log()) == a_pack()


def test_a_log_that_grew_elsewhere_makes_the_same_bytes() -> None:
    log = Log().begin()
    log.call("s1")
    before = pack_of(log)
    log.call("s2")
    log.freeze()
    assert pack_of(log) == before


@pytest.mark.parametrize(
    "surroundings",
    [
        {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "1", "UMASK": "0", "PYTHONUTF8": "0"},
        {"TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2", "UMASK": "63"},
    ],
)
def test_another_process_elsewhere_makes_the_same_bytes(surroundings: dict[str, str], tmp_path: Path) -> None:
    environment = {**os.environ, **surroundings, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == sha256(a_pack()).hexdigest()


@pytest.mark.parametrize("name", pythons.NAMES)
def test_another_python_makes_the_same_bytes(name: str, tmp_path: Path) -> None:
    python = pythons.program(name)
    if python is None:
        pytest.skip(f"there is no {name} with HELM's libraries")
    environment = pythons.environment() | {"UMASK": "18"}
    told = subprocess.run(
        [python, "-c", PRINT_DIGEST], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert told.stdout.strip() == sha256(a_pack()).hexdigest()


def test_a_revocation_after_the_session_is_part_of_its_pack() -> None:
    log = Log().begin()
    log.call("s1")
    log.rotate(KeyPurpose.EXECUTION, 2)
    log.call("s2")
    members = unpacked(pack_of(log))
    assert b'"ROTATED"' in members[SNAPSHOT]
    assert refusing_check(pack_of(log), root_of(log)) == ""


def test_a_session_that_lived_through_restart_rotation_and_a_new_policy_is_authenticated() -> None:
    log = Log().begin()
    log.call("s1")
    log.start()
    log.rotate(KeyPurpose.EXECUTION, 2)
    log.call("s1")
    log.activate(policy_of(2))
    log.call("s1")
    report = verify_pack(pack_of(log), root_of(log))
    assert report.authenticated
    assert report.subject.receipts == 3
    assert sum(path.startswith("policy/") for path in unpacked(pack_of(log))) == 2


def test_a_pack_of_nothing_but_an_open_intent_is_authenticated() -> None:
    log = Log().begin()
    log.intend("s1", {"name": "x"})
    report = verify_pack(pack_of(log), root_of(log))
    assert report.authenticated
    assert (report.subject.receipts, report.subject.open_intents) == (0, 1)


def test_facts_can_be_left_out_and_the_pack_says_so() -> None:
    raw = pack_of(a_log(), redact_facts=True)
    assert unpacked(raw)[FACT_LINES] == b"\n" * 5
    report = verify_pack(raw, root_of(a_log()))
    assert report.authenticated
    assert report.subject.redacted == 5


def test_a_session_nobody_knows_has_no_pack() -> None:
    with pytest.raises(Invalid, match="nothing is known of it"):
        pack_of(a_log(), "s3")


def test_only_an_evidence_key_signs_a_pack() -> None:
    selection = Selection(TENANT, "s1")
    for entry in a_log().entries:
        selection.take(entry)
    material = PackMaterial(selection=selection, script=forger.SCRIPT.read_bytes())
    with pytest.raises(PurposeMismatch):
        build(material, a_log().key(KeyPurpose.EXECUTION))


def test_only_a_published_script_goes_into_a_pack() -> None:
    selection = Selection(TENANT, "s1")
    for entry in a_log().entries:
        selection.take(entry)
    with pytest.raises(Invalid, match="not a replay script that verifiers know"):
        build(PackMaterial(selection=selection, script=b"print('trust me')\n"), a_log().key(KeyPurpose.EVIDENCE))


def test_a_node_that_relied_on_another_session_names_it_in_the_frontier() -> None:
    log = Log().begin()
    grant = log.graph.heads
    log.call("s1")
    log.call("s2")
    log.call("s1", relies_on=(grant[(TENANT, "s2")],))
    raw = pack_of(log)
    assert grant[(TENANT, "s2")].encode() in unpacked(raw)[FRONTIER]
    assert refusing_check(raw, root_of(log)) == ""
    assert forger.refusing_check_of_script(raw, root_of(log)) == ""


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: entry.pop("node"),
        lambda entry: entry.update(node=[]),
        lambda entry: entry["node"].pop("session_id"),
        lambda entry: entry["node"].pop("kind"),
        lambda entry: entry["node"].update(payload=[]),
        lambda entry: entry["node"]["payload"].update(decision="yes"),
        lambda entry: entry["node"]["payload"].pop("decision"),
        lambda entry: entry.update(beside={"receipt": 1}),
    ],
)
def test_entries_that_no_kernel_wrote_make_no_pack(damage: Callable[[dict[str, Any]], object]) -> None:
    selection, entries = Selection(TENANT, "s1"), a_log().entries
    damage(entries[7])
    with pytest.raises(Invalid):
        for entry in entries:
            selection.take(entry)
        raw = build(
            PackMaterial(selection=selection, script=forger.SCRIPT.read_bytes()), a_log().key(KeyPurpose.EVIDENCE)
        )
        assert refusing_check(raw) != ""
        raise Invalid("made, and refused", "pack")
