"""helm doctor: says what would keep a kernel from working, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.cli.examine import is_locked
from actors.opening import open_kernel
from actors.stores import lock
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.doors.issuing import certified
from tests.actors.stores.tampering import tampered


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
    assert not is_locked(Path(__file__), "1: POSIX  ADVISORY  WRITE 1 00:01:2 0 EOF\n")
    descriptor = lock.take(path)
    try:
        assert is_locked(path, Path("/proc/locks").read_text(encoding="utf-8"))
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
