"""What a guest finds of the machine: what its grant names, and nothing above it, beside it or by another name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from actors.connectors.guest_grant import surroundings
from helm.contracts.reason import ReasonCode
from helm.crypto.hashing import sha256
from helm.guardian.bundle_grants import read_grant
from helm.guardian.bundle_table import Table
from helm.runtime.sandbox.cell import Cell
from helm.runtime.sandbox.guest import compiled
from helm.runtime.sandbox.port import Answered, Guest, GuestEnded
from tests.helm.runtime import guests
from tests.helm.runtime.guests import CREATES, FOLDER, TO_WRITE, TRUNCATES, WRITES_IT, at_path, opens

REFUSED = b"176"
NOT_THERE = b"144"


class Never:
    """Nobody wants the guest to end."""

    is_asked = False


def answer(place: Path, module: bytes, mode: str = "ro", **granted: Any) -> Answered:
    """Run a guest that is given the folder `place/given`."""
    preopens = [{"guest_path": "/data", "mode": mode, "path": str(place / "given")}]
    grant = read_grant(Table("", {"module_hash": sha256(module), "preopens": preopens, **granted}))
    cell = Cell(compiled(module, sha256(module), grant.limits), grant.limits)
    with surroundings(grant, b"{}", place / "helm") as given:
        return cell.run(Guest(b"{}", given), Never())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "given" / "below").mkdir(parents=True)
    (tmp_path / "given" / "plan").write_text("1234")
    (tmp_path / "given" / "below" / "deep").write_text("5678")
    (tmp_path / "secret").write_text("9999")
    return tmp_path


def left_open(place: Path) -> list[str]:
    """Return what this process has open below a place."""
    named = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return [os.readlink(one) for one in named if os.path.islink(one) and os.readlink(one).startswith(str(place))]


@pytest.mark.parametrize(
    ("path", "found"),
    [("plan", b"1234"), ("below/deep", b"5678"), ("./below/../plan", b"1234"), ("below//deep", b"5678")],
)
def test_a_guest_reads_below_its_folder(place: Path, path: str, found: bytes) -> None:
    assert answer(place, opens(path)).output == found


@pytest.mark.parametrize("path", ["../secret", "below/../../secret", "..", "/etc/passwd", "/data/plan", "below/../.."])
def test_a_path_that_leads_out_is_refused(place: Path, path: str) -> None:
    assert answer(place, opens(path)).output == REFUSED


def test_a_folder_below_is_no_way_out_either(place: Path) -> None:
    climbs = """
      (i64.store (i32.const 600) (i64.const 0x6e616c702f2e2e))  ;; ../plan
      (call $tell (call $open (i32.load (i32.const 16)) (i32.const 1) (i32.const 600) (i32.const 7) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 20)))
    """
    assert answer(place, opens("below", then=climbs)).output == REFUSED


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "plan", "/proc/self/root/etc/passwd"])
def test_a_symbolic_link_is_not_followed_wherever_it_leads(place: Path, target: str) -> None:
    (place / "given" / "link").symlink_to(target)
    assert answer(place, opens("link")).output == REFUSED
    assert (
        answer(place, opens("link", how=CREATES, rights=TO_WRITE), "rw", profile="wasmtime-writable").output == REFUSED
    )


@pytest.mark.parametrize("target", ["..", "/", "below", "/proc/self/fd"])
def test_a_linked_folder_is_not_walked_through(place: Path, target: str) -> None:
    (place / "given" / "link").symlink_to(target)
    assert answer(place, opens("link/secret")).output == b"154"


def test_a_hard_link_to_a_file_outside_is_not_opened(place: Path) -> None:
    os.link(place / "secret", place / "given" / "linked")
    assert answer(place, opens("linked")).output == REFUSED
    emptied = opens("linked", how=TRUNCATES, rights=TO_WRITE)
    assert answer(place, emptied, "rw").output == REFUSED
    assert (place / "secret").read_text() == "9999"


def test_a_pipe_is_not_opened_and_holds_nobody(place: Path) -> None:
    os.mkfifo(place / "given" / "pipe")
    assert answer(place, opens("pipe")).output == REFUSED
    assert answer(place, opens("pipe", how=CREATES, rights=TO_WRITE), "rw").output == REFUSED


@pytest.mark.parametrize("path", ["/proc", "/proc/self/root", "/proc/self/cwd"])
def test_the_processes_are_no_folder_to_be_given(tmp_path: Path, path: str) -> None:
    preopens = [{"guest_path": "/data", "path": path}]
    grant = read_grant(Table("", {"module_hash": sha256(b""), "preopens": preopens}))
    with pytest.raises(GuestEnded) as ended, surroundings(grant, b"{}", tmp_path / "helm"):
        pass
    assert ended.value.code is ReasonCode.SANDBOX_VIOLATION


def test_a_folder_that_is_reached_by_a_link_is_not_given(place: Path) -> None:
    (place / "given").rename(place / "real")
    (place / "given").symlink_to(place / "real")
    with pytest.raises(GuestEnded, match="reached by a link"):
        answer(place, opens("plan"))


@pytest.mark.parametrize("own", ["given", "given/below/own", "."])
def test_a_folder_in_which_the_keys_of_helm_lie_is_not_given(place: Path, own: str) -> None:
    preopens = [{"guest_path": "/data", "path": str(place / "given")}]
    grant = read_grant(Table("", {"module_hash": sha256(b""), "preopens": preopens}))
    with pytest.raises(GuestEnded, match="data directory"), surroundings(grant, b"{}", place / own):
        pass


@pytest.mark.parametrize(
    "module",
    [
        opens("plan", rights=TO_WRITE),
        opens("plan", how=TRUNCATES),
        opens("new", how=CREATES, rights=TO_WRITE),
        at_path("path_create_directory", "new"),
        at_path("path_unlink_file", "plan"),
        at_path("path_remove_directory", "below"),
    ],
)
def test_what_may_only_be_read_is_not_changed(place: Path, module: bytes) -> None:
    before = sorted(path.read_text() for path in place.rglob("*") if path.is_file())
    answered = answer(place, module)
    assert (answered.output, answered.has_written) == (REFUSED, False)
    assert sorted(path.read_text() for path in place.rglob("*") if path.is_file()) == before


def test_a_guest_writes_where_it_may(place: Path) -> None:
    made = answer(place, opens("news", how=CREATES, rights=TO_WRITE, then=WRITES_IT), "rw")
    assert (made.output, made.has_written) == (b"100", True)
    assert (place / "given" / "news").read_text() == "news"
    assert (place / "given" / "news").stat().st_mode & 0o777 == 0o600
    assert answer(place, at_path("path_create_directory", "made"), "rw").output == b"100"
    assert answer(place, at_path("path_remove_directory", "made"), "rw").output == b"100"
    assert answer(place, at_path("path_unlink_file", "plan"), "rw").output == b"100"
    assert sorted(os.listdir(place / "given")) == ["below", "news"]


@pytest.mark.parametrize("name", ["path_symlink", "path_link", "path_readlink"])
def test_links_are_neither_made_nor_read(place: Path, name: str) -> None:
    given = {
        "path_symlink": (
            "i32 i32 i32 i32 i32",
            "(i32.const 512) (i32.const 4) (i32.const 3) (i32.const 512) (i32.const 4)",
        ),
        "path_link": (
            "i32 i32 i32 i32 i32 i32 i32",
            "(i32.const 3) " + "(i32.const 0) " * 3 + "(i32.const 3) (i32.const 0) (i32.const 0)",
        ),
        "path_readlink": ("i32 i32 i32 i32 i32 i32", "(i32.const 3) " + "(i32.const 0) " * 5),
    }[name]
    assert answer(place, guests.asks(name, f"(param {given[0]})", given[1]), "rw").output == b"76"


def test_what_a_guest_writes_is_bounded_with_its_output(place: Path) -> None:
    floods = opens(
        "news",
        how=CREATES,
        rights=TO_WRITE,
        then="""
          (i32.store (i32.const 24) (i32.const 512)) (i32.store (i32.const 28) (i32.const 4000))
          (loop $again
            (drop (call $write (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 32))) (br $again))
        """,
    )
    with pytest.raises(GuestEnded) as ended:
        answer(place, floods, "rw", output_bytes=100_000)
    assert (ended.value.code, ended.value.has_written) == (ReasonCode.ERR_COMPUTE_OUTPUT_EXHAUSTED, True)
    assert (place / "given" / "news").stat().st_size <= 100_000


def test_open_files_are_bounded_and_none_stays_open(place: Path) -> None:
    hoards = guests.guest(
        """
        (local $error i32)
        (loop $again
          (local.set $error (call $open (i32.const 3) (i32.const 1) (i32.const 512) (i32.const 4) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
          (br_if $again (i32.eqz (local.get $error))))
        (call $tell (local.get $error))
        """,
        imports=guests.IO + guests.OPEN,
        rest=guests.SAY + guests.TELL_ERROR + '(data (i32.const 512) "plan")',
    )
    assert answer(place, hoards, open_files=5).output == b"133"
    assert left_open(place) == []


def test_a_folder_is_listed_without_what_cannot_be_opened(place: Path) -> None:
    (place / "given" / "link").symlink_to("plan")
    os.mkfifo(place / "given" / "pipe")
    listed = answer(place, guests.LISTS).output
    assert (b"plan" in listed, b"below" in listed, b"link" in listed, b"pipe" in listed) == (True, True, False, False)


def test_a_folder_is_not_read_as_a_file_nor_a_file_as_a_folder(place: Path) -> None:
    assert answer(place, opens("below")).output == b"131"
    assert answer(place, opens("plan", how=FOLDER)).output == b"154"
    assert answer(place, opens("none")).output == NOT_THERE
    assert answer(place, opens("plan/none")).output == b"154"


def test_variables_are_those_that_are_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_TEST_SHOWN", "yes")
    monkeypatch.setenv("HELM_TEST_HIDDEN", "no")
    names = ["HELM_TEST_SHOWN", "HELM_TEST_UNSET"]
    shown = answer(place, guests.READS_ITS_VARIABLES, env={"mode": "allowlist", "names": names})
    assert shown.output == b"HELM_TEST_SHOWN=yes\0"
    redacted = answer(place, guests.READS_ITS_VARIABLES, env={"mode": "redacted", "names": names})
    assert redacted.output == b"HELM_TEST_SHOWN=redacted\0"
    assert answer(place, guests.READS_ITS_VARIABLES).output == b""


def test_a_fixed_clock_and_fixed_chance_are_the_same_in_every_run(place: Path) -> None:
    fixed = {"clock": "fixed", "randomness": "fixed"}
    assert {answer(place, guests.CLOCK, **fixed).output for _ in range(3)} == {(1_000_000).to_bytes(8, "little")}
    drawn = {answer(place, guests.DRAWS, **fixed).output for _ in range(3)}
    assert len(drawn) == 1
    assert drawn != {bytes(8)}


def test_a_real_clock_and_real_chance_are_given_where_they_are_granted(place: Path) -> None:
    real = {"clock": "real", "randomness": "real"}
    told = int.from_bytes(answer(place, guests.CLOCK, **real).output, "little")
    assert told > 10**18
    assert told % 1_000_000 == 0
    assert answer(place, guests.DRAWS, **real).output != answer(place, guests.DRAWS, **real).output


def test_without_a_grant_there_is_neither(place: Path) -> None:
    assert answer(place, guests.CLOCK).output == bytes(8)
    assert answer(place, guests.DRAWS).output == bytes(8)
