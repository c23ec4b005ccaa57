"""No survivor: whatever is done to any field of any file of a pack, both verifiers refuse it, by the check that must.

An insider does it, who has the evidence key and writes a true manifest over what he changed. What an outsider does ends
at the manifest already, whatever it is. Packs of every kind are tampered with: of a session, a range of time and the
whole log, condensed ones, and ones without facts.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import pytest

from helm.contracts.errors import Invalid
from helm.evidence.condense import rehydrate
from helm.evidence.condensed import COLD
from helm.evidence.layout import HOST_DRIFT, MANIFEST
from helm.evidence.verify import check_pack
from tests.helm.evidence.forger import packed, refusing_check, refusing_check_of_script, resealed
from tests.tamper.matrix import KINDS, Case, cases, condensed_of, covered, target

SESSION: Final = target("session")
FILES: Final = SESSION.files

SAMPLE: Final = 6
"""Cases of each file that every run tries, spread over the whole file."""

STRIDE: Final = 31
"""Of so many cases `just check` tries one, in packs of every kind; `just tamper` tries all, ten thousand a kind."""

OF_OTHERS: Final = 1
"""Cases of one file of each folder of packs of the other kinds that every run tries."""


def sampled(path: str) -> list[Case]:
    """Return some cases of a file, the same ones in every run."""
    every = [*cases(SESSION, path)]
    step = max(1, len(every) // SAMPLE)
    return every[FILES.index(path) % step :: step][:SAMPLE]


def check_refused(case: Case) -> None:
    """Fail, naming the case, unless both verifiers refuse it by one and the same check, which is one that must.

    What is said of the cold file, no verifier can hold against anything: then nobody makes the pack whole.
    """
    if case.is_condensers_word():
        with pytest.raises(Invalid, match="look for the right one"):
            rehydrate(check_pack(case.pack(), case.target.root), condensed_of(covered()).cold)
        return
    by, by_script = case.refused()
    told = (case, by)
    assert told == (case, by_script)
    assert by in case.checks(), told


@pytest.mark.parametrize("path", FILES)
def test_a_sample_of_all_tampering_is_refused_by_both_verifiers(path: str) -> None:
    for case in sampled(path):
        check_refused(case)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "session"])
def test_a_sample_of_tampering_with_packs_of_other_kinds_is_refused_by_both_verifiers(kind: str) -> None:
    of = target(kind)
    a_file_of_each_folder = {path.rpartition("/")[0]: path for path in of.files}
    for number, path in enumerate(a_file_of_each_folder.values()):
        for case in islice(cases(of, path), number, number + OF_OTHERS):
            check_refused(case)


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a machine that is busy with other things
@pytest.mark.parametrize("kind", KINDS)
def test_every_thirty_first_case_of_all_tampering_is_refused_by_both_verifiers(kind: str) -> None:
    every = (case for path in target(kind).files for case in cases(target(kind), path))
    for case in islice(every, KINDS.index(kind), None, STRIDE):
        check_refused(case)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_all_tampering_is_refused_by_both_verifiers(kind: str) -> None:
    for path in target(kind).files:
        for case in cases(target(kind), path):
            check_refused(case)


def test_every_word_about_the_cold_file_is_held_by_a_check_or_by_whoever_makes_the_pack_whole() -> None:
    every = [*cases(target("condensed"), COLD)]
    assert any(case.is_condensers_word() for case in every)
    for case in every:
        check_refused(case)


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_of_a_pack_can_be_left_out_though_the_manifest_is_true(kind: str) -> None:
    of = target(kind)
    for path in of.files:
        if path not in (MANIFEST, HOST_DRIFT):  # a pack may be correlated with its hosts' chains, or not yet
            less = resealed({other: raw for other, raw in of.members.items() if other != path})
            assert refusing_check(less, of.root), path


@pytest.mark.parametrize("kind", KINDS)
def test_no_pack_passes_that_another_key_signed(kind: str) -> None:
    of = target(kind)
    assert (refusing_check(packed(of.members), of.root), refusing_check_of_script(packed(of.members), of.root)) == (
        "",
        "",
    )
    again = resealed(of.members, number=2)
    assert (refusing_check(again, of.root), refusing_check_of_script(again, of.root)) == ("signature", "signature")


@pytest.mark.parametrize("path", [path for path in FILES if path != MANIFEST])
def test_what_an_outsider_does_ends_at_the_manifest(path: str) -> None:
    for case in islice(cases(SESSION, path), 1):
        pack = packed(SESSION.members | {path: case.content})
        assert (refusing_check(pack), refusing_check_of_script(pack)) == ("manifest", "manifest")


@pytest.mark.slow
def test_the_matrix_is_over_every_kind_of_file_and_thousands_of_fields() -> None:
    folders = {path.partition("/")[0] for kind in KINDS for path in target(kind).files}
    assert folders >= {
        *("checkpoints", "condensed", "facts", "host_evidence", "inclusion", "manifest.json", "policy", "proofgraph"),
        *("receipts", "records", "schemas", "trust"),
    }
    every = [case for path in FILES for case in cases(SESSION, path)]
    assert len(every) > 3_000
    assert {case.what for case in every} == {
        *("added to", "changed", "doubled", "dropped", "emptied", "in another order", "named twice"),
        *("left blank", "of another session", "of no type", "reversed"),
    }
