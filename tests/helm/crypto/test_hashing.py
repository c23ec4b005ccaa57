"""The one written form of a hash, and the ids cut from it."""

from __future__ import annotations

import hashlib

from helm.crypto import domains, hashing


def test_a_hash_is_written_with_its_name_and_64_lower_case_digits() -> None:
    assert hashing.sha256(b"abc") == (
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    )
    assert hashing.digest(b"abc").hex() == hashing.sha256(b"abc").removeprefix("sha256:")


def test_the_same_bytes_in_two_contexts_have_two_hashes() -> None:
    assert hashing.hash_in(domains.NODE, b"{}") != hashing.hash_in(domains.DECISION, b"{}")
    assert hashing.hash_in(domains.NODE, b"{}") == hashing.sha256(b"HELM/Node/v1\n{}")


def test_an_id_is_the_first_128_bits_of_what_it_names() -> None:
    named = hashing.sha256(b"decision")
    assert hashing.content_id("dec_", named) == "dec_" + hashlib.sha256(b"decision").hexdigest()[:32]
