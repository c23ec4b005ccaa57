"""helm key: keys that are shown once, and taken back for good, in a data directory and at a running kernel."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.cli.examine import bearer_keys
from actors.doors.serve import serve
from actors.opening import open_kernel
from helm.config import Config
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm


def key(made: Made, *words: str, **environment: str) -> Ended:
    return helm("key", *words, *made.option, **environment)


def listed(made: Made, *words: str) -> list[dict[str, Any]]:
    """Return the keys of a data directory."""
    found: list[dict[str, Any]] = key(made, "list", *words, "--json").json()["keys"]
    return found


def test_a_new_directory_lists_the_keys_that_init_showed(made: Made) -> None:
    assert [(one["class"], one["principal"], one["state"]) for one in listed(made)] == [
        ("tenant", "agent", "active"),
        ("admin", "admin", "active"),
    ]


def test_an_issued_key_is_written_once_and_stands_nowhere(made: Made) -> None:
    told = key(made, "issue", "--principal", "bob", "--label", "the build", "--expires-in-days", "3")
    assert told.code == 0
    plain = told.out.strip()
    assert plain.startswith("helm_") and plain not in told.err
    (bob,) = listed(made, "--principal", "bob")
    assert (bob["label"], bob["tenant"], bob["expires_at_ms"] - bob["created_at_ms"]) == (
        "the build",
        "default",
        3 * 86_400_000,
    )
    assert made.place().bearer_keys().find(f"Bearer {plain}") is not None
    files = [path for path in made.path.rglob("*") if path.is_file()]
    assert not any(plain.encode() in path.read_bytes() for path in files)
    assert bob["key_id"] in key(made, "list").out


def test_a_revoked_key_is_gone_from_the_file_and_stays_in_the_log(made: Made) -> None:
    plain = key(made, "issue", "--principal", "bob").out.strip()
    (bob,) = listed(made, "--principal", "bob")
    assert key(made, "revoke", bob["key_id"], "--reason", "it leaked").code == 0
    assert made.place().bearer_keys().find(f"Bearer {plain}") is None
    (shown,) = listed(made, "--state", "revoked")
    assert (shown["key_id"], shown["reason"], shown["principal"]) == (bob["key_id"], "it leaked", "bob")
    acts = helm("audit", "list", "--json", *made.option).json()["acts"]
    assert [(act["kind"], act["who"], act["reason"]) for act in acts if "BEARER" in act["kind"]] == [
        ("BEARER_KEY_ISSUED", "admin", ""),
        ("BEARER_KEY_REVOKED", "admin", "it leaked"),
    ]
    assert helm("audit", "verify", *made.option).code == 0


def test_the_last_admin_key_stays_until_there_is_another(made: Made) -> None:
    (admin,) = listed(made, "--principal", "admin")
    refused = key(made, "revoke", admin["key_id"], "--reason", "turned")
    assert refused.code == 1 and "the last admin key" in refused.err and "helm key issue --class admin" in refused.err
    assert key(made, "issue", "--class", "admin", "--principal", "ops").code == 0
    assert key(made, "revoke", admin["key_id"], "--reason", "turned").code == 0
    assert [one["principal"] for one in listed(made, "--state", "active")] == ["agent", "ops"]


def test_a_key_that_never_was_is_not_found(made: Made) -> None:
    refused = key(made, "revoke", "bk_" + "0" * 32, "--reason", "turned", "--json")
    assert (refused.code, json.loads(refused.err)["code"]) == (1, "NOT_FOUND")


def test_a_backup_brings_a_key_back_and_its_file_alone_does_not(made: Made, tmp_path: Path) -> None:
    key(made, "issue", "--principal", "bob")
    (bob,) = listed(made, "--principal", "bob")
    assert helm("backup", str(tmp_path / "kept"), *made.option).code == 0
    earlier = (made.path / "bearer.json").read_bytes()
    key(made, "revoke", bob["key_id"], "--reason", "it leaked")
    (made.path / "bearer.json").write_bytes(earlier)
    assert [one["state"] for one in listed(made, "--principal", "bob")] == ["revoked"]
    again = attrs.evolve(made, path=tmp_path / "restored")
    words = ("--data-dir", str(again.path), "--keys", str(made.path / "keys"))
    assert helm("restore", str(tmp_path / "kept"), *words).code == 0
    assert [one["state"] for one in listed(again, "--principal", "bob")] == ["active"]


@pytest.mark.parametrize(
    "words",
    [
        ("--principal", "oidc:corp:alice"),
        ("--principal", "an agent"),
        ("--principal", "bob", "--tenant", "a/b"),
        ("--principal", "bob", "--label", "x" * 101),
    ],
)
def test_a_key_for_nobody_in_particular_is_refused(made: Made, words: tuple[str, ...]) -> None:
    assert key(made, "issue", *words).code == 1
    assert len(listed(made)) == 2


def test_the_doctor_counts_keys_and_misses_an_admin_key(made: Made) -> None:
    assert bearer_keys(made.place()) == ("bearer keys", "ok", "2 issued, an admin key among them", "")
    file = made.path / "bearer.json"
    file.write_text(file.read_text().replace('"key_class":"admin"', '"expires_at_ms":1,"key_class":"admin"'))
    found = bearer_keys(made.place())
    assert (found.state, found.detail) == ("warn", "2 issued, no admin key that counts; 1 expired")
    assert found.hint == "helm key issue --class admin --principal NAME"


def test_a_key_that_expired_makes_nobody_of_its_holder(made: Made, tmp_path: Path) -> None:
    file, written = made.path / "bearer.json", tmp_path / "key"
    written.write_text(made.tenant_key)
    assert helm("identity", "check", str(written), *made.option).code == 0
    file.write_text(file.read_text().replace('"key_class":"tenant"', '"expires_at_ms":1,"key_class":"tenant"'))
    refused = helm("identity", "check", str(written), *made.option)
    assert refused.code == 1 and "expired" in refused.out + refused.err


def served(made: Made, *asked: Callable[[str], Ended]) -> list[Ended]:
    """Serve a data directory; return what commands say that are given its URL, one after the other."""

    async def run() -> list[Ended]:
        place = made.place()
        async with open_kernel(place, policy=None) as kernel:
            config = Config(port=0, grace_s=2.0)
            door = await kernel.nursery.start(partial(serve, kernel, config, place.bearer_keys()))
            return [await trio.to_thread.run_sync(one, door.address.url) for one in asked]

    return trio.run(run)


def test_a_running_kernel_issues_lists_and_revokes_over_http(made: Made) -> None:
    def at(url: str, *words: str) -> Ended:
        return helm("key", *words, "--server", url, *made.option, HELM_API_KEY=made.admin_key)

    def revoked(url: str) -> Ended:
        found = at(url, "list", "--principal", "bob", "--json").json()["keys"]
        return at(url, "revoke", found[0]["key_id"], "--reason", "it leaked")

    def by_an_agent(url: str) -> Ended:
        return helm("key", "list", "--server", url, *made.option, HELM_API_KEY=made.tenant_key)

    def beside(_: str) -> Ended:
        return key(made, "issue", "--principal", "eve")

    issued, gone, lists, refused, locked = served(
        made,
        lambda url: at(url, "issue", "--principal", "bob"),
        revoked,
        lambda url: at(url, "list"),
        by_an_agent,
        beside,
    )
    assert (issued.code, gone.code, lists.code) == (0, 0, 0)
    assert issued.out.startswith("helm_") and "revoked" in lists.out
    assert (refused.code, locked.code) == (1, 1) and "admin key" in refused.err
    assert [one["principal"] for one in listed(made, "--state", "active")] == ["agent", "admin"]
