"""A misspelt name is told what it was meant to be, and a strange one is told nothing wrong."""

from __future__ import annotations

import pytest

from helm.contracts.nearest import MAX_CHARS, nearest, or_nearest

KNOWN = ("bind", "port", "places", "connectors", "connections", "log")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("prot", "port"),
        ("prt", "port"),
        ("poort", "port"),
        ("connector", "connectors"),
        ("conectros", "connectors"),
        ("connection", "connections"),
        ("port", "port"),
        ("lug", "log"),
    ],
)
def test_a_slip_of_a_letter_or_two_is_understood(written: str, meant: str) -> None:
    assert nearest(written, KNOWN) == meant


@pytest.mark.parametrize("written", ["", "p", "xx", "cache_home", "tropical", "conn", "x" * 100_000])
def test_a_strange_name_is_taken_for_no_other(written: str) -> None:
    assert nearest(written, KNOWN) == ""


def test_of_two_that_are_as_near_the_first_by_alphabet_is_named_whatever_their_order() -> None:
    assert nearest("cat", ("hat", "bat")) == nearest("cat", ("bat", "hat")) == "bat"


def test_a_word_too_long_to_compare_is_not_compared() -> None:
    word = "x" * MAX_CHARS
    assert nearest(word, [word]) == word
    assert nearest(word + "x", [word]) == ""


def test_who_asks_is_never_shown_an_empty_list() -> None:
    assert or_nearest("prot", KNOWN) == "did you mean port?"
    assert or_nearest("moon", ["b", "a"]) == "there are a, b"
    assert or_nearest("moon", []) == "there are none yet"
