"""Who is let in by a bearer key, and who is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.keys.bearer import BearerKey, BearerKeys, KeyClass, KeyTerms
from helm.contracts.errors import Invalid
from helm.crypto.hashing import sha256

ADMIN_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def keys(tmp_path: Path) -> BearerKeys:
    return BearerKeys(tmp_path / "bearer.json", ())


def test_a_key_says_who_its_holder_is(keys: BearerKeys) -> None:
    plain = keys.issue(KeyClass.TENANT, "acme", "agent-7", at_ms=5)
    other = keys.issue(KeyClass.TENANT, "acme", "agent-8", at_ms=6)
    found = keys.find(f"Bearer {plain}")
    assert found is not None
    assert (found.key_class, found.tenant, found.principal) == ("tenant", "acme", "agent-7")
    assert found.credential_hash == sha256(plain.encode())
    assert plain != other
    assert plain.startswith("helm_")
    assert len(plain) == 48


def test_the_file_lets_the_same_in_after_a_restart(keys: BearerKeys) -> None:
    tenant = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    admin = keys.issue(KeyClass.ADMIN, "", "root", at_ms=6)
    again = BearerKeys.load(keys.path)
    for plain in (tenant, admin):
        assert again.find(f"Bearer {plain}") == keys.find(f"Bearer {plain}") is not None


def test_no_key_stands_in_the_file_or_in_a_log(keys: BearerKeys) -> None:
    plain = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    assert plain.encode() not in keys.path.read_bytes()
    assert plain not in repr(keys)
    assert keys.path.stat().st_mode & 0o777 == 0o600


def test_without_a_key_nobody_is_let_in(keys: BearerKeys) -> None:
    for header in (None, "", "Bearer ", "Bearer helm_", f"Bearer {sha256(b'')}"):
        assert keys.find(header) is None
    assert not keys.has_admin


@pytest.mark.parametrize(
    "shape",
    [
        "{}",
        "Basic {}",
        "Bearer  {}",
        "Bearer {} ",
        "Bearer\t{}",
        "Bearer x{}",
        "Bearer {}x",
        "Bearer {}, Bearer x",
        "Bearer \ud800{}",
        "Bearer \u00fc{}",
    ],
)
def test_what_is_not_exactly_a_key_lets_nobody_in(keys: BearerKeys, shape: str) -> None:
    plain = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    assert keys.find(shape.replace("{}", plain)) is None
    assert keys.find(f"bearer {plain}") is not None


def test_a_stored_hash_is_not_a_key(keys: BearerKeys) -> None:
    plain = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    assert keys.find(f"Bearer {sha256(plain.encode())}") is None


def test_a_key_that_shares_the_route_of_another_is_not_that_key(keys: BearerKeys) -> None:
    plain = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    real = sha256(plain.encode())
    body = json.loads(keys.path.read_bytes())
    body["keys"][0]["credential_hash"] = real[:15] + "0" * 56
    keys.path.write_text(json.dumps(body))
    assert BearerKeys.load(keys.path).find(f"Bearer {plain}") is None


def test_a_header_as_long_as_a_book_is_not_read(keys: BearerKeys) -> None:
    assert keys.find("Bearer " + "x" * 1_000_000) is None


def test_the_environments_admin_key_opens_the_control_plane(keys: BearerKeys) -> None:
    plain = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    both = BearerKeys.load(keys.path, ADMIN_KEY)
    found = both.find(f"Bearer {ADMIN_KEY}")
    assert found is not None
    assert (found.key_class, found.tenant) == ("admin", "")
    assert both.find(f"Bearer {plain}") is not None
    assert both.has_admin
    both.issue(KeyClass.TENANT, "acme", "second", at_ms=6)
    assert BearerKeys.load(keys.path).find(f"Bearer {ADMIN_KEY}") is None


def test_one_key_stands_for_one_principal(keys: BearerKeys) -> None:
    plain = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    with pytest.raises(Invalid, match="stands twice"):
        BearerKeys.load(keys.path, plain)
    body = json.loads(keys.path.read_bytes())
    body["keys"].append(body["keys"][0] | {"principal": "someone-else"})
    keys.path.write_text(json.dumps(body))
    with pytest.raises(Invalid, match="stands twice"):
        BearerKeys.load(keys.path)


@pytest.mark.parametrize(
    ("key_class", "tenant", "principal"),
    [
        (KeyClass.TENANT, "", "agent"),
        (KeyClass.TENANT, "a/b", "agent"),
        (KeyClass.TENANT, "-", "agent"),
        (KeyClass.TENANT, "t" * 65, "agent"),
        (KeyClass.TENANT, "acme\n", "agent"),
        (KeyClass.ADMIN, "acme", "root"),
        (KeyClass.TENANT, "acme", ""),
        (KeyClass.TENANT, "acme", "an agent"),
        (KeyClass.TENANT, "acme", "\u0430gent"),
    ],
)
def test_a_key_for_nobody_in_particular_is_not_issued(
    keys: BearerKeys, key_class: KeyClass, tenant: str, principal: str
) -> None:
    with pytest.raises(Invalid):
        keys.issue(key_class, tenant, principal, at_ms=5)
    assert not keys.path.exists()


@pytest.mark.parametrize(
    "edits",
    [
        {"key_class": "root"},
        {"credential_hash": ""},
        {"credential_hash": "sha256:" + "A" * 64},
        {"credential_hash": "sha256:" + "ü" * 64},
        {"created_at_ms": -1},
        {"created_at_ms": "5"},
        {"tenant": None},
        {"scope": "all"},
    ],
)
def test_a_file_with_a_key_that_is_none_is_refused(keys: BearerKeys, edits: dict[str, Any]) -> None:
    keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=5)
    body = json.loads(keys.path.read_bytes())
    body["keys"][0] |= edits
    keys.path.write_text(json.dumps(body))
    with pytest.raises(Invalid, match=r"bearer\.json"):
        BearerKeys.load(keys.path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {}}', '{"keys": []', '{"keys":[],"keys":[]}'])
def test_a_file_that_is_no_list_of_keys_is_refused(keys: BearerKeys, text: str) -> None:
    keys.path.write_text(text)
    with pytest.raises(Invalid, match=r"bearer\.json"):
        BearerKeys.load(keys.path)


def test_a_file_that_is_missing_is_refused(keys: BearerKeys) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        BearerKeys.load(keys.path)


def test_a_file_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    crowd = tuple(
        BearerKey(
            credential_hash=f"sha256:{number:08x}{0:056x}",
            created_at_ms=5,
            key_class="tenant",
            principal="p" * 256,
            tenant="t" * 64,
        )
        for number in range(35_000)
    )
    keys = BearerKeys(tmp_path / "bearer.json", crowd)
    with pytest.raises(Invalid, match="no more keys fit"):
        keys.issue(KeyClass.TENANT, "acme", "one-too-many", at_ms=6)
    assert not keys.path.exists()


@pytest.mark.parametrize("principal", ["oidc:corp:alice", "spiffe://prod.example/a", "SPIFFE://prod.example/a"])
def test_no_key_makes_its_holder_somebody_whom_an_issuer_vouches_for(keys: BearerKeys, principal: str) -> None:
    with pytest.raises(Invalid, match="no key of HELM's own"):
        keys.issue(KeyClass.TENANT, "acme", principal, at_ms=0)
    assert not keys.path.exists()
    written = {"created_at_ms": 0, "credential_hash": sha256(b"x"), "key_class": "tenant", "tenant": "acme"}
    keys.path.write_text(json.dumps({"keys": [written | {"principal": principal}]}))
    with pytest.raises(Invalid, match="no key of HELM's own"):
        BearerKeys.load(keys.path)


def test_a_key_ends_with_the_very_millisecond_that_was_named(keys: BearerKeys) -> None:
    _, key = keys.draw(KeyClass.TENANT, "acme", "bob", at_ms=0, terms=KeyTerms(expires_at_ms=10))
    assert [key.counts_at(now_ms) for now_ms in (0, 9, 10, 11)] == [True, True, False, False]
