"""The policy in force is the log's: whoever looks at a file that states another one is told so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio

from actors.opening import open_kernel
from actors.policy_file import sign_text
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm

OTHER = "is not what the log has in force"

READERS = (("connector", "list"), ("budget", "list"), ("policy", "explain", "files.read"))
"""Commands that tell what the file states."""


@pytest.fixture
def elsewhere(made: Made) -> Made:
    """Return a data directory whose log got another policy than its file states: a program gave it."""

    async def start() -> None:
        place = made.place()
        text = place.policy_path.read_text(encoding="utf-8").replace('scope = "starter"', 'scope = "notes"', 1)
        async with open_kernel(place, policy=sign_text(text, "notes", place.policy_key())):
            pass

    trio.run(start)
    return made


@pytest.fixture
def outdated(used: Made, tmp_path: Path) -> Made:
    """Return a data directory whose policy was put back from a copy: the log has its second epoch in force."""
    place, copy = used.place(), tmp_path / "copy"
    shutil.copytree(place.path, copy, ignore=shutil.ignore_patterns("journal*", "*.sock"))
    text = place.policy_path.read_text(encoding="utf-8")
    place.policy_path.write_text(text.replace("epoch = 1", "epoch = 2", 1), encoding="utf-8")
    for words in (("policy", "sign"), ("policy", "activate")):
        assert helm(*words, str(place.policy_path), *used.option).code == 0
    for path in (place.policy_path, place.policy_signature_path):
        path.write_bytes((copy / path.name).read_bytes())
    return used


def refused_by_serve(made: Made) -> str:
    """Return why the gateway does not start."""
    ended = helm("serve", "--port", "0", "--json", *made.option)
    assert ended.code == 1
    return str(ended.failure()["message"])


def found_by_doctor(made: Made) -> str:
    """Return what the doctor says of the policy, which is that a start fails."""
    ended = helm("doctor", "--json", *made.option)
    (found,) = [one for one in ended.json() if one["check"] == "policy"]
    assert (ended.code, found["state"]) == (1, "fail")
    return str(found["detail"])


def test_an_older_policy_that_serve_refuses_is_found_by_doctor_in_its_words(outdated: Made) -> None:
    refused = refused_by_serve(outdated)
    assert "epoch 1 is older than the active 2" in refused
    assert refused in found_by_doctor(outdated)


def test_a_policy_of_another_scope_that_serve_refuses_is_found_by_doctor_in_its_words(elsewhere: Made) -> None:
    refused = refused_by_serve(elsewhere)
    assert "for starter, the active one for notes" in refused
    assert refused in found_by_doctor(elsewhere)


def test_a_missing_folder_that_serve_refuses_is_found_by_doctor_in_its_words(used: Made) -> None:
    shutil.rmtree(used.path / "files")
    refused = refused_by_serve(used)
    assert refused == f"connectors.files.root: {used.path / 'files'}: no such folder"
    assert refused in found_by_doctor(used)


def test_a_policy_that_needs_a_program_of_its_own_is_a_warning(made: Made) -> None:
    path = made.place().policy_path
    path.write_text(path.read_text(encoding="utf-8") + '\n[connectors.notes]\nkind = "local"\n', encoding="utf-8")
    path.write_text(path.read_text().replace('connector = "files"', 'connector = "notes"', 1), encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0
    assert "nobody gave this local connector" in refused_by_serve(made)
    ended = helm("doctor", "--json", *made.option)
    (found,) = [one for one in ended.json() if one["check"] == "policy"]
    assert (ended.code, found["state"]) == (0, "warn")
    assert "local connectors: notes" in found["detail"]


@pytest.mark.parametrize("words", READERS)
def test_whoever_reads_the_file_is_told_of_another_in_the_log(elsewhere: Made, words: tuple[str, ...]) -> None:
    told = helm(*words, *elsewhere.option)
    assert told.code == 0
    assert f"(scope starter, epoch 1) {OTHER} (scope notes, epoch 1)" in told.err
    assert OTHER not in told.out
    assert "helm policy show" in told.err


@pytest.mark.parametrize("words", READERS)
def test_nothing_is_said_of_a_file_that_is_what_is_in_force(used: Made, words: tuple[str, ...]) -> None:
    assert OTHER not in helm(*words, *used.option).err


def test_a_file_that_is_no_policy_any_more_is_told_beside_what_is_in_force(used: Made) -> None:
    used.place().policy_path.write_text("nothing", encoding="utf-8")
    told = helm("connector", "list", *used.option)
    assert (told.code, "cannot be read as a policy" in told.err) == (0, True)
    assert "the log has scope starter, epoch 1 in force" in told.err


def test_what_is_in_force_is_shown_by_scope_and_epoch_and_nothing_as_none(elsewhere: Made) -> None:
    shown = helm("policy", "show", *elsewhere.option).out
    rows = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert (rows["scope"], rows["epoch"]) == ("notes", "1")
    assert "None" not in shown
    assert "p0: 100000 calls in 3600 s" in shown
    told = helm("policy", "show", "--json", *elsewhere.option).json()
    assert (told["scope"], told["epoch"]) == ("notes", 1)


def test_before_any_activation_nothing_is_shown_to_be_in_force(made: Made) -> None:
    assert helm("policy", "show", *made.option).out.split(maxsplit=1)[1].strip() == "none was ever activated"
    told = helm("policy", "show", "--json", *made.option).json()
    assert (told["bundle_hash"], told["scope"], told["epoch"]) == ("", "", 0)
