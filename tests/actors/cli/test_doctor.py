"""helm doctor: says what would keep a kernel from working, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.connectors.launch import engine
from actors.connectors.programs import bubblewrap
from actors.opening import open_kernel
from actors.stores import lock
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.cli.test_launch import tools
from tests.actors.connectors.launch.engines import bench
from tests.actors.connectors.programs.kit import CLOSED
from tests.actors.connectors.programs.kit import bundle as program_bundle
from tests.actors.doors.issuing import certified
from tests.actors.stores.tampering import tampered
from tests.helm.launch.test_substrate import loaded


def findings(made: Made, *words: str) -> dict[str, Any]:
    """Return what was found, by check."""
    return {one["check"]: one for one in helm("doctor", "--json", *words, *made.option).json()}


def test_a_sound_installation_is_fit(used: Made) -> None:
    ended = helm("doctor", *used.option)
    assert ended.code == 0
    found = findings(used, "--deep")
    assert {found[check]["state"] for check in ("python", "sqlite", "data directory", "key files", "policy")} == {"ok"}
    assert found["journal"]["state"] == "ok"
    assert "3 receipts verified" in found["journal"]["detail"]


def test_a_machine_without_an_installation_is_told_how_to_make_one(tmp_path: Path) -> None:
    ended = helm("doctor", "--data-dir", str(tmp_path / "none"))
    assert ended.code == 1
    assert "helm init" in ended.err


def test_a_key_that_others_may_read_is_found(made: Made) -> None:
    (made.path / "keys" / "policy.pem").chmod(0o644)
    assert helm("doctor", *made.option).code == 1
    assert findings(made)["key files"]["state"] == "fail"
    assert "chmod 0600" in findings(made)["key files"]["hint"]


def test_a_policy_that_nobody_vouches_for_is_found(made: Made) -> None:
    path = made.place().policy_path
    path.write_text(path.read_text(encoding="utf-8").replace("epoch = 1", "epoch = 2"), encoding="utf-8")
    assert findings(made)["policy"]["state"] == "fail"
    assert "POLICY_HASH_MISMATCH" in findings(made)["policy"]["detail"]


def test_an_edited_journal_is_found_and_its_entry_named(used: Made) -> None:
    with tampered(used.place().journal_path) as rows:
        rows[7] = rows[7].replace(b'"lamport":7', b'"lamport":9', 1)
    found = findings(used)["journal"]
    assert found["state"] == "fail"
    assert "journal entry 7" in found["detail"]


def test_a_journal_that_is_not_there_yet_is_no_mistake(made: Made) -> None:
    assert findings(made)["journal"]["state"] == "note"
    assert helm("doctor", *made.option).code == 0


async def test_a_running_kernel_is_seen_and_not_disturbed(made: Made) -> None:
    assert findings(made)["lock"]["detail"] == "no kernel runs here"
    async with open_kernel(made.path, policy=None) as kernel:
        assert "a kernel runs here" in findings(made)["lock"]["detail"]
        answer = await kernel.call("read", {})
    assert answer.reason_code == "NO_POLICY_DEFINED"


def test_a_lock_is_read_from_the_table_of_locks(tmp_path: Path) -> None:
    path = tmp_path / "journal.lock"
    assert not lock.is_locked(Path(__file__), "1: POSIX  ADVISORY  WRITE 1 00:01:2 0 EOF\n")
    descriptor = lock.take(path)
    try:
        assert lock.is_locked(path, Path("/proc/locks").read_text(encoding="utf-8"))
    finally:
        import os

        os.close(descriptor)


def test_a_port_that_others_could_reach_in_the_clear_is_found(made: Made) -> None:
    assert findings(made)["exposure"]["state"] == "ok"
    (made.path / "helm.toml").write_text('bind = "0.0.0.0"', encoding="utf-8")
    assert findings(made)["exposure"]["state"] == "fail"


def test_a_door_that_asks_for_certificates_which_nobody_can_have_is_found(made: Made, tmp_path: Path) -> None:
    cert, key = certified().files(tmp_path)
    settings = made.path / "helm.toml"
    text = settings.read_text()
    settings.write_text(f'{text}\ntls_cert = "{cert}"\ntls_key = "{key}"\nclient_certificates = "required"\n')
    assert findings(made)["exposure"]["state"] == "warn"
    assert "pins no root" in findings(made)["exposure"]["detail"]
    Path(cert).unlink()
    assert findings(made)["exposure"]["state"] == "fail"


def needing(made: Made, text: str) -> None:
    """Let the policy need something of this machine."""
    path = made.place().policy_path
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0


def test_what_contains_untrusted_code_is_tried(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bubblewrap, "PLACES", (str(tmp_path / "bwrap"),))
    monkeypatch.setattr(engine, "PLACES", (str(tmp_path),))
    found = findings(made)
    assert found["guests"]["state"] == "ok"
    assert "ran one" in found["guests"]["detail"]
    assert found["landlock"]["detail"].startswith("version ")
    for check in ("bubblewrap", "docker", "podman"):
        assert (found[check]["state"], found[check]["detail"]) == ("note", "is not installed")
        assert found[check]["hint"]


def test_what_the_policy_needs_of_this_machine_and_is_not_there_is_a_failure(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = program_bundle("echo 1", isolation=CLOSED)
    needing(made, program[program.index("[connectors.program]") :] + tools())
    away = tmp_path / "docker"
    away.write_text("#!/bin/sh\nexit 1\n")
    away.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "PLACES", (str(tmp_path / "bwrap"),))
    monkeypatch.setattr(engine, "PLACES", (str(tmp_path),))
    assert helm("doctor", *made.option).code == 1
    found = findings(made)
    assert found["bubblewrap"]["state"] == "fail"
    assert (found["docker"]["state"], found["docker"]["detail"]) == (
        "fail",
        "its command is there, and no daemon answers it",
    )
    assert "agent cannot be launched: ERR_ISOLATION_TIER_UNAVAILABLE" in found["docker"]["hint"]


def test_a_tool_that_is_there_and_may_not_work_is_no_isolation(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    barred = tmp_path / "bwrap"
    barred.write_text('#!/bin/sh\ntest "$1" = --version && echo bubblewrap 9.9 && exit 0\nexit 1\n')
    barred.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "PLACES", (str(barred),))
    assert "lets it make no namespace" in findings(made)["bubblewrap"]["detail"]


def test_an_engine_tells_its_tiers(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench(tmp_path, loaded())
    monkeypatch.setattr(engine, "PLACES", (str(tmp_path), "/usr/bin", "/bin"))
    assert findings(made)["docker"]["detail"] == "27.3.1: docker-default (baseline), gvisor"
