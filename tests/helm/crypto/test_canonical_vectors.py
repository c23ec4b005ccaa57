"""Public vectors for the one form of JSON: RFC 8785's own, the parsing suite, the naughty strings."""

from __future__ import annotations

import json
import re

import rfc8785

from helm.contracts.errors import Malformed
from helm.crypto import canonical
from tests import vectors

EITHER_ACCEPTED = re.compile(
    # Doubles that round to zero or lose digits: both are what every reader of doubles does.
    r"i_number_(double_huge_neg_exp|real_underflow)\.json"
)
"""Files that the suite leaves to the parser and that this one takes; all others it refuses."""


def refused(raw: bytes) -> bool:
    try:
        value = canonical.parse(raw)
    except Malformed:
        return True
    assert canonical.canonical(canonical.parse(canonical.canonical(value))) == canonical.canonical(value)
    return False


def test_the_authors_vectors_of_rfc_8785_come_out_byte_for_byte() -> None:
    root = vectors.folder("jcs")
    inputs = sorted((root / "input").glob("*.json"))
    assert len(inputs) == 6
    for path in inputs:
        expected = bytes.fromhex((root / "outhex" / f"{path.stem}.txt").read_text())
        value, written = canonical.parse_canonical(path.read_bytes())
        assert written == canonical.canonical(value) == expected, path.name


def test_what_every_parser_must_accept_is_accepted_but_for_names_that_stand_twice() -> None:
    paths = sorted((vectors.folder("json-parsing") / "test_parsing").glob("y_*.json"))
    assert len(paths) == 95
    unwanted = {path.name for path in paths if refused(path.read_bytes())}
    assert unwanted == {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


def test_what_every_parser_must_refuse_is_refused() -> None:
    paths = sorted((vectors.folder("json-parsing") / "test_parsing").glob("n_*.json"))
    assert len(paths) == 187
    assert [path.name for path in paths if not refused(path.read_bytes())] == []


def test_what_parsers_may_read_differently_is_refused() -> None:
    paths = sorted((vectors.folder("json-parsing") / "test_parsing").glob("i_*.json"))
    assert len(paths) == 35
    taken = {path.name for path in paths if not refused(path.read_bytes())}
    assert taken == {path.name for path in paths if EITHER_ACCEPTED.fullmatch(path.name)}


def test_what_parsers_are_known_to_transform_is_refused_or_kept() -> None:
    paths = sorted((vectors.folder("json-parsing") / "test_transform").glob("*.json"))
    assert len(paths) == 22
    for path in paths:
        raw = path.read_bytes()
        if not refused(raw):
            assert canonical.parse(raw) == json.loads(raw), path.name


def test_naughty_strings_keep_every_character() -> None:
    strings = vectors.load(vectors.folder("naughty") / "blns.json")
    assert len(strings) == 515
    for text in strings:
        value = {"text": text, text: [text]}
        written = canonical.canonical(value)
        assert written == rfc8785.dumps(value)
        assert canonical.parse(written) == value
