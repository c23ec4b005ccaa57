"""No survivor: whatever is done to any field of any file of a pack, both verifiers refuse it, by the check that must.

An insider does it, who has the evidence key and writes a true manifest over what he changed. What an outsider does ends
at the manifest already, whatever it is.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import pytest

from helm.evidence.layout import MANIFEST, SCRIPT
from tests.helm.evidence.forger import packed, refusing_check, refusing_check_of_script
from tests.tamper.matrix import MEMBERS, PATHS, Case, cases

FILES: Final = [path for path in PATHS if path != SCRIPT]
"""The script is a program: any other bytes are another one."""

SAMPLE: Final = 6
"""Cases of each file that every run tries, spread over the whole file."""


def sampled(path: str) -> list[Case]:
    """Return some cases of a file, the same ones in every run."""
    every = [*cases(path)]
    step = max(1, len(every) // SAMPLE)
    return every[FILES.index(path) % step :: step][:SAMPLE]


@pytest.mark.parametrize("path", FILES)
def test_a_sample_of_all_tampering_is_refused_by_both_verifiers(path: str) -> None:
    for case in sampled(path):
        told = (case, refusing_check(case.pack()), refusing_check_of_script(case.pack()))
        assert told == (case, case.check(), case.check())


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES)
def test_all_tampering_is_refused_by_both_verifiers(path: str) -> None:
    for case in cases(path):
        pack = case.pack()
        told = (case, refusing_check(pack), refusing_check_of_script(pack))
        assert told == (case, case.check(), case.check())


@pytest.mark.parametrize("path", [path for path in FILES if path != MANIFEST])
def test_what_an_outsider_does_ends_at_the_manifest(path: str) -> None:
    for case in islice(cases(path), 1):
        pack = packed(MEMBERS | {path: case.content})
        assert (refusing_check(pack), refusing_check_of_script(pack)) == ("manifest", "manifest")


def test_the_matrix_is_over_every_kind_of_file_and_thousands_of_fields() -> None:
    folders = {path.partition("/")[0] for path in FILES}
    assert folders >= {
        *("checkpoints", "facts", "host_evidence", "inclusion", "manifest.json", "policy", "proofgraph"),
        *("receipts", "records", "schemas", "trust"),
    }
    every = [case for path in FILES for case in cases(path)]
    assert len(every) > 3_000
    assert {case.what for case in every} == {
        *("added to", "changed", "doubled", "dropped", "emptied", "in another order", "named twice"),
        *("of another session", "of no type", "reversed"),
    }
