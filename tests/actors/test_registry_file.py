"""The registry file: editing it can keep a kernel from starting, and can grant nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from actors.installation import Installation
from actors.registry_file import RegistryFile
from actors.stores import lock
from helm.contracts.errors import Invalid
from tests.actors.kit import House, HouseClock
from tests.actors.stores.tampering import tampered


def start(house: House, *, calls: int = 0) -> None:
    """Run one kernel to its end."""
    house.clock = HouseClock()
    trio.run(run, house, calls)


async def run(house: House, calls: int) -> None:
    async with house.kernel(ground=await house.real_ground()) as kernel:
        for _ in range(calls):
            await kernel.call("asking", {})


@pytest.fixture
def path(house: House) -> Path:
    """Where the registry of a journal in segments lies."""
    return house.path / "boundary" / "surfaces.json"


def test_it_is_there_after_a_start_for_its_owner_alone(house: House, path: Path) -> None:
    start(house, calls=1)
    assert not path.exists()
    start(house)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    told = json.loads(path.read_text())
    assert (told["version"], told["log_id"]) == ("helm.surfaces/1", house.place.log_id)
    assert {one["surface"] for one in told["snapshots"]} >= {"approvals", "budgets", "checkpoints", "freezes", "keys"}
    start(house)


def test_it_lies_where_the_environment_says_for_any_store(house: House, tmp_path: Path) -> None:
    house.keep_journal_in("sqlite")
    start(house, calls=1)
    elsewhere = tmp_path / "another disk" / "registry.json"
    environment = {"HELM_BOUNDARY_REGISTRY_PATH": str(elsewhere)}
    house.place = Installation.open(house.path, environment=environment)
    start(house)
    assert elsewhere.exists() and not (house.path / "boundary").exists()


def grant_an_approval(told: dict[str, list[dict[str, str]]]) -> None:
    """Write into the registry that what was asked is approved."""
    [one] = [one for one in told["snapshots"] if one["surface"] == "approvals"]
    one["state"] = one["state"].replace("PENDING", "APPROVED").replace("pending", "approved")


def set_a_budget_back(told: dict[str, list[dict[str, str]]]) -> None:
    [one] = [one for one in told["snapshots"] if one["surface"] == "budgets"]
    one["state"] = "{}"
    one["state_hash"] = "sha256:" + "0" * 64


def speak_of_another_log(told: dict[str, object]) -> None:
    told["log_id"] = "sha256:" + "0" * 64


def hold_more(told: dict[str, object]) -> None:
    told["more"] = 1


def hold_no_snapshot(told: dict[str, list[object]]) -> None:
    told["snapshots"][0] = {"surface": 1}


EDITS: dict[str, tuple[Callable[..., None], str]] = {
    "an approval that nobody gave": (grant_an_approval, "not what the rows come to"),
    "a budget that was not used": (set_a_budget_back, "not what the rows come to"),
    "the registry of another log": (speak_of_another_log, "the registry of log"),
    "a member that nobody knows": (hold_more, "is no registry"),
    "what is no snapshot": (hold_no_snapshot, "no snapshot"),
}


@pytest.mark.parametrize(("edit", "said"), EDITS.values(), ids=EDITS)
def test_an_edit_grants_nothing_and_starts_nothing(
    house: House, path: Path, edit: Callable[..., None], said: str
) -> None:
    start(house, calls=1)
    start(house)
    told = json.loads(path.read_text())
    edit(told)
    if edit is grant_an_approval:
        assert told != json.loads(path.read_text())
    path.write_text(json.dumps(told))
    with pytest.raises(Invalid, match=said):
        start(house)
    path.unlink()
    start(house)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff"])
def test_what_is_no_registry_starts_nothing(house: House, path: Path, content: bytes) -> None:
    start(house, calls=1)
    start(house)
    path.write_bytes(content)
    with pytest.raises(Invalid):
        start(house)


def test_a_registry_that_others_may_write_or_that_is_a_link_starts_nothing(house: House, path: Path) -> None:
    start(house, calls=1)
    start(house)
    path.chmod(0o622)
    with pytest.raises(Invalid, match="others may read or write it"):
        start(house)
    path.chmod(0o600)
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))
    with pytest.raises(Invalid, match="cannot be read"):
        start(house)


def test_it_tells_that_the_journal_beside_it_was_rolled_back(house: House, path: Path) -> None:
    start(house, calls=2)
    start(house)
    with tampered(house.place.journal_path) as rows:
        for seq in range(9, max(rows) + 1):
            del rows[seq]
    house.place.index_path.unlink()
    with pytest.raises(Invalid, match="the journal ends before it"):
        start(house)


def test_two_never_write_it_at_once(tmp_path: Path) -> None:
    file = RegistryFile(path=tmp_path / "surfaces.json", log_id="sha256:x")
    descriptor = lock.take(tmp_path / "surfaces.json.lock")
    with pytest.raises(Invalid):
        file.keep([])
    os.close(descriptor)
    file.keep([])
    assert file.snapshots() == []
