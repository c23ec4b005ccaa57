"""Sandbox ceilings: what is lowered counts at once, what is raised is seen as a raise, and no grant goes beyond."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle_grants import grant_hash, read_grant
from helm.guardian.bundle_table import Table
from helm.guardian.ceilings import Ceilings, ceilings_of, joined, read_ceilings
from helm.guardian.grants import read_view, view
from helm.guardian.overgrant import is_below, overgrants

HASH = "sha256:" + "1" * 64


def ceilings(**sandbox: Any) -> Ceilings:
    return ceilings_of({"sandbox": sandbox})


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ({"max_fuel": 5}, {"max_fuel": 6}),
        ({"max_memory_bytes": 5}, {}),
        ({"max_wall_ms": 5}, {}),
        ({}, {"readable": ["/srv"]}),
        ({"readable": ["/srv/a"]}, {"readable": ["/srv"]}),
        ({}, {"writable": ["/srv"]}),
        ({"variables": ["A"]}, {"variables": ["A", "B"]}),
        ({}, {"networks": ["a.example"]}),
    ],
)
def test_to_allow_guests_more_is_a_raise(lower: dict[str, Any], higher: dict[str, Any]) -> None:
    assert ceilings(**lower).within(ceilings(**higher))
    assert not ceilings(**higher).within(ceilings(**lower))
    assert joined(ceilings(**lower), ceilings(**higher)).sandbox == ceilings(**lower).sandbox
    assert joined(ceilings(**higher), ceilings(**lower)).sandbox == ceilings(**lower).sandbox


def test_two_lists_of_folders_share_what_lies_below_both() -> None:
    both = joined(ceilings(readable=["/a", "/b/c", "/d"]), ceilings(readable=["/a/x", "/b", "/dd"]))
    assert both.sandbox.readable == {"/a/x", "/b/c"}


def test_ceilings_of_guests_are_read_back_as_they_were_written() -> None:
    stated = ceilings(readable=["/b", "/a"], variables=["B", "A"], max_fuel=7)
    assert read_ceilings(stated.document()) == stated


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [("/a", "/a", True), ("/a/b", "/a", True), ("/ab", "/a", False), ("/a", "/a/b", False), ("/a", "/", True)],
)
def test_a_folder_is_below_by_its_names_and_not_by_its_letters(path: str, root: str, below: bool) -> None:
    assert is_below(path, root) is below


def test_what_may_be_written_may_be_read_and_not_the_other_way_round() -> None:
    table = {"module_hash": HASH, "profile": "wasmtime-writable"}
    reads, writes = (
        read_grant(Table("", {**table, "preopens": [{"path": "/a/b", "guest_path": "/b", "mode": mode}]}))
        for mode in ("ro", "rw")
    )
    assert not overgrants(reads, ceilings(writable=["/a"]).sandbox)
    assert not overgrants(writes, ceilings(writable=["/a"]).sandbox)
    assert [one.code for one in overgrants(writes, ceilings(readable=["/a"]).sandbox)] == ["FILESYSTEM_NOT_REVIEWED"]


def test_redacted_variables_need_no_review() -> None:
    table = {"module_hash": HASH, "profile": "wasmtime-readonly", "env": {"mode": "redacted", "names": ["B", "A"]}}
    grant = read_grant(Table("", table))
    assert (grant.env.names, overgrants(grant, ceilings().sandbox)) == (("A", "B"), ())


@pytest.mark.parametrize(
    "changed",
    [
        {"fuel": 2},
        {"profile": "wasmtime-readonly"},
        {"clock": "real"},
        {"env": {"mode": "allowlist", "names": ["A"]}},
        {"network": {"mode": "allowlist", "destinations": ["a.example"]}},
        {"preopens": [{"path": "/a", "guest_path": "/a"}]},
        {"runtime_version": "50.0.1"},
        {"module_hash": "sha256:" + "2" * 64},
    ],
)
def test_every_word_of_a_grant_is_in_its_hash_and_in_its_object(changed: dict[str, Any]) -> None:
    plain = read_grant(Table("", {"module_hash": HASH}))
    other = read_grant(Table("", {"module_hash": HASH, **changed}))
    assert grant_hash(plain) != grant_hash(other)
    written = view(other, connector="", declared_at_ms=1, policy_epoch=0)
    assert read_view(written) == other
    named = view(plain, connector="", declared_at_ms=1, policy_epoch=0)
    with pytest.raises(Invalid, match="its hash is"):
        read_view(written | {name: named[name] for name in ("grant_hash", "grant_id")})


@pytest.mark.parametrize(
    "asked",
    [
        {"profile": "wasmtime"},
        {"clock": "now"},
        {"env": {"mode": "deny-all", "names": ["A"]}},
        {"env": {"mode": "allowlist"}},
        {"env": {"mode": "allowlist", "names": ["A=B"]}},
        {"env": {"mode": "allowlist", "names": ["A"], "values": ["B"]}},
        {"network": {"mode": "redacted", "destinations": ["a.example"]}},
        {"network": {"mode": "allowlist", "cidrs": ["10.0.0.0/33"]}},
        {"preopens": [{"path": "relative", "guest_path": "/a"}]},
        {"preopens": [{"path": "/a/", "guest_path": "/a"}]},
        {"preopens": [{"path": "/a", "guest_path": "/../a"}]},
        {"preopens": [{"path": "/a", "guest_path": "/a"}, {"path": "/b", "guest_path": "/a"}]},
        {"preopens": [{"path": f"/a{n}", "guest_path": f"/a{n}"} for n in range(9)]},
        {"runtime_version": "latest"},
        {"open_files": 0},
    ],
)
def test_what_is_no_grant_is_not_read(asked: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        table = Table("", {"module_hash": HASH, **asked})
        read_grant(table)
        table.finish()
