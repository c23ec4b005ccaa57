"""A folder that a grant pins: what changes in it is found before a guest begins, and what no guest sees is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.connectors.grant_host import content_hash_of, host_findings
from actors.connectors.guest_grant import surroundings
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxGrant
from helm.crypto.hashing import sha256
from helm.guardian.bundle_grants import grant_hash, read_grant
from helm.guardian.bundle_table import Table
from helm.runtime.sandbox import tree
from helm.runtime.sandbox.port import GuestEnded
from tests.actors.connectors.test_guest_files import left_open


@pytest.fixture
def place(tmp_path: Path) -> Path:
    given = tmp_path / "given"
    (given / "below" / "empty").mkdir(parents=True)
    (given / "plan").write_text("1234")
    (given / "below" / "deep").write_text("5678")
    (tmp_path / "secret").write_text("9999")
    return tmp_path


def pin(place: Path) -> str:
    return content_hash_of(str(place / "given"), place / "helm")


def grant_of(place: Path, content_hash: str, mode: str = "ro") -> SandboxGrant:
    preopen = {"content_hash": content_hash, "guest_path": "/data", "mode": mode, "path": str(place / "given")}
    return read_grant(Table("", {"module_hash": sha256(b""), "preopens": [preopen]}))


def begins(place: Path, grant: SandboxGrant) -> None:
    """Give a guest what it is granted. Raises GuestEnded."""
    with surroundings(grant, b"{}", place / "helm"):
        pass


def put_a_file_for(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


CHANGES: dict[str, Callable[[Path], Any]] = {
    "other bytes": lambda given: (given / "below" / "deep").write_text("5679"),
    "a byte more": lambda given: (given / "plan").write_text("12345"),
    "a file more": lambda given: (given / "more").write_text(""),
    "a file less": lambda given: (given / "plan").unlink(),
    "an empty folder more": lambda given: (given / "more").mkdir(),
    "an empty folder less": lambda given: (given / "below" / "empty").rmdir(),
    "another name": lambda given: (given / "plan").rename(given / "plan2"),
    "a file for a folder": lambda given: put_a_file_for(given / "below" / "empty"),
    "another name of a file elsewhere": lambda given: os.link(given.parent / "secret", given / "linked"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_a_guest_could_see_of_a_change_ends_it_before_it_begins(
    place: Path, change: Callable[[Path], Any]
) -> None:
    grant = grant_of(place, pin(place))
    begins(place, grant)
    change(place / "given")
    with pytest.raises(GuestEnded, match="holds something else") as ended:
        begins(place, grant)
    assert ended.value.code is ReasonCode.SANDBOX_VIOLATION
    assert "PREOPEN_CHANGED" in {one.code for one in host_findings(grant, place / "helm" / "modules")}
    assert left_open(place) == []


def test_what_no_guest_sees_changes_nothing(place: Path) -> None:
    before = pin(place)
    os.utime(place / "given" / "plan", (0, 0))
    (place / "given" / "plan").chmod(0o600)
    (place / "given" / "link").symlink_to("../secret")
    os.mkfifo(place / "given" / "pipe")
    assert pin(place) == before


def test_the_same_tree_elsewhere_has_the_same_hash_and_its_order_on_the_disk_is_no_matter(tmp_path: Path) -> None:
    names = ["b", "a/c", "a.b", "a/b/d"]
    hashes = set()
    for number, ordered in enumerate((names, names[::-1])):
        for name in ordered:
            file = tmp_path / str(number) / "given" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
        hashes.add(pin(tmp_path / str(number)))
    assert len(hashes) == 1


def test_a_grant_with_another_content_is_another_grant(place: Path) -> None:
    plain, pinned = grant_of(place, ""), grant_of(place, pin(place))
    assert grant_hash(plain) != grant_hash(pinned)


def test_a_tree_without_end_is_not_walked_to_its_end(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = grant_of(place, pin(place))
    for bound, most in (("MAX_TREE_NAMES", 3), ("MAX_TREE_BYTES", 7), ("MAX_TREE_DEPTH", 1)):
        with monkeypatch.context() as tight:
            tight.setattr(tree, bound, most)
            with pytest.raises(GuestEnded, match="it holds more than"):
                begins(place, grant)
    assert left_open(place) == []


def test_a_folder_that_guests_write_into_has_no_content_to_pin(place: Path) -> None:
    with pytest.raises(Invalid, match="does not stay what it is"):
        grant_of(place, "sha256:" + "0" * 64, mode="rw")
    with pytest.raises(Invalid, match="not a hash"):
        grant_of(place, "sha256:0")
