"""helm policy: what is wrong is named with its line before a kernel ever sees it."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from signal import SIGINT, pthread_kill, raise_signal
from threading import Event, Thread, main_thread
from types import FrameType
from zoneinfo import TZPATH

import pytest
import trio

from actors.cli.deciding import deciding_kernel
from actors.cli.in_force import active_policy
from actors.cli.main import INTERRUPTED
from actors.cli.policy_activate import in_force_here, put
from actors.doors.hatch import address
from actors.mailbox import KernelStopped
from actors.policy_file import signature_path
from actors.process import durable
from helm.contracts.errors import Invalid, Refused
from helm.contracts.reason import ReasonCode
from helm.crypto import domains
from helm.crypto.hashing import hash_in
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm


def edit(made: Made, old: str, new: str) -> Path:
    """Change the policy of a data directory."""
    path = made.place().policy_path
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_sound_policy_is_shown_with_its_hashes_and_tools(made: Made) -> None:
    ended = helm("policy", "check", str(made.place().policy_path), "--json", *made.option)
    assert ended.code == 0
    told = ended.json()
    assert (told["scope"], told["epoch"]) == ("starter", 1)
    assert told["policy_hash"].startswith("sha256:")
    assert {tool["tool"]: tool["approval"] for tool in told["tools"]} == {
        "files.read": "never",
        "files.list": "never",
        "files.read_private": "always",
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_bytes = 262144", "max_byte = 262144", "max_byte"),
        ('"minLength": 1', '"minLenght": 1', "minLenght"),
        ("args.path.startsWith('public/')", "args.path.startsWith('public/'", "cel"),
        ('risk_tier = "T1"', 'risk_tier = "T9"', "T9"),
        ('connector = "files"', 'connector = "flies"', "flies"),
    ],
    ids=["an unknown key", "an unknown keyword", "broken CEL", "an unknown word", "an unknown connector"],
)
def test_a_mistake_is_named_with_file_and_line(made: Made, old: str, new: str, said: str) -> None:
    path = edit(made, old, new)
    ended = helm("policy", "check", str(path), "--json")
    assert ended.code == 1
    assert f"{path}:" in ended.failure()["message"]
    assert said in ended.failure()["message"]


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    ended = helm("policy", "check", str(tmp_path / "none.toml"))
    assert ended.code == 1
    assert "No such file" in ended.err


def test_an_edited_policy_is_told_from_the_signed_one(made: Made) -> None:
    path = edit(made, "epoch = 1", "epoch = 2")
    ended = helm("policy", "check", str(path), *made.option)
    assert ended.code == 0
    assert "not valid here" in ended.out and f"helm policy sign {path}" in ended.out
    path.with_name("policy.toml.sig").unlink()
    assert "none that can be read" in helm("policy", "check", str(path), *made.option).out


def test_what_the_guardian_will_ask_is_told_in_its_order(made: Made) -> None:
    ended = helm("policy", "explain", "files.read", "--principal", "agent", "--json", *made.option)
    assert ended.code == 0
    phases = [row["phase"] for row in ended.json()]
    assert phases == sorted(
        phases,
        key=[
            "identity",
            "egress",
            "threat",
            "delegation",
            "effect",
            "temporal",
            "compliance",
            "pep",
            "prg",
            "pdp",
            "budget",
        ].index,
    )
    assert {"phase": "pdp", "what": "names agent", "outcome": "PASS"} in ended.json()


def test_a_tool_nobody_declared_is_not_found(made: Made) -> None:
    ended = helm("policy", "explain", "shell.run", *made.option)
    assert ended.code == 1
    assert "NO_POLICY_DEFINED" in ended.out


def test_a_policy_is_signed_by_the_key_of_its_installation(made: Made) -> None:
    path = edit(made, "epoch = 1", "epoch = 2")
    ended = helm("policy", "sign", str(path), "--json", *made.option)
    assert ended.code == 0
    assert ended.json()["signed_by"] == made.place().policy_key().key_id
    assert "valid, by" in helm("policy", "check", str(path), *made.option).out


def test_a_policy_that_could_not_follow_the_active_one_is_not_signed(used: Made) -> None:
    path = edit(used, "max_bytes = 262144", "max_bytes = 262145")
    before = path.with_name("policy.toml.sig").read_bytes()
    ended = helm("policy", "sign", str(path), "--json", *used.option)
    assert ended.code == 1
    assert ended.failure()["code"] == "POLICY_HASH_MISMATCH"
    assert path.with_name("policy.toml.sig").read_bytes() == before
    edit(used, "epoch = 1", "epoch = 2")
    assert helm("policy", "sign", str(path), *used.option).code == 0


# --- Time and pace, explained


TIMED = """
[windows.office]
from = "08:00"
to = "18:00"
time_zone = "CET-1CEST,M3.5.0,M10.5.0/3"

[[velocity]]
id = "everyone"
per = "tenant"
tools = ["files.*"]
window_s = 60
throttle_above = 10
"""


def explained(made: Made, *supposed: str) -> dict[str, str]:
    """Return what is said of time, by what is asked."""
    ended = helm("policy", "explain", "files.read", *supposed, "--json", *made.option)
    assert ended.code == 0, ended.err
    return {row["what"]: row["outcome"] for row in ended.json() if row["phase"] == "temporal"}


@pytest.fixture
def timed(made: Made) -> Made:
    path = made.place().policy_path
    whole = path.read_text(encoding="utf-8").replace(
        '[tools."files.read"]', '[tools."files.read"]\nwindows = ["office"]', 1
    )
    path.write_text(whole + TIMED, encoding="utf-8")
    return made


def test_an_explanation_says_which_window_is_open_on_the_clock_of_its_place(timed: Made) -> None:
    summer = explained(timed, "--at", "2026-07-01T06:30:00Z")
    assert summer["at that time: office is open"] == "PASS"
    assert any("there it is wed 2026-07-01 08:30 CEST" in what for what in summer)
    winter = explained(timed, "--at", "2026-12-01T07:30:00+01:00")
    assert winter["at that time: no window is open"] == "ESCALATE TEMPORAL_INTERVENTION"


def test_an_explanation_says_which_level_would_apply(timed: Made) -> None:
    assert explained(timed, "--calls", "9")["velocity everyone: after 9 calls, level none"] == "PASS"
    said = explained(timed, "--calls", "10")
    assert said["velocity everyone: after 10 calls, level THROTTLE"] == "DENY TEMPORAL_THROTTLE"


@pytest.mark.parametrize("moment", ["2026-07-01T06:30:00", "noon", "2026-07-32"])
def test_a_moment_that_is_another_one_elsewhere_is_a_usage_error(timed: Made, moment: str) -> None:
    ended = helm("policy", "explain", "files.read", "--at", moment, "--json", *timed.option)
    assert (ended.code, ended.failure()["code"]) == (2, "USAGE")


@pytest.mark.skipif(
    not any(Path(root, "Africa/Casablanca").is_file() for root in TZPATH), reason="no database of zones"
)
def test_the_rule_of_a_place_is_printed_as_a_policy_takes_it() -> None:
    assert helm("policy", "time-zone", "Europe/Berlin").out == "CET-1CEST,M3.5.0,M10.5.0/3\n"
    for name in ("Europe/Nowhere", "../../etc/passwd", "Africa/Casablanca", ""):
        assert helm("policy", "time-zone", name).code == 1


def test_a_contradiction_is_named_with_its_line(timed: Made) -> None:
    path = edit(timed, "throttle_above = 10", "throttle_above = 10\ninterrupt_above = 5")
    ended = helm("policy", "check", str(path), "--json")
    assert ended.code == 1
    assert "no call ever reaches throttle_above" in ended.failure()["message"]
    line = path.read_text(encoding="utf-8").splitlines().index("throttle_above = 10") + 1
    assert f"{path}:{line}" in ended.failure()["message"]


# --- Compiled, and put in force


def test_a_bundle_is_written_in_the_form_that_its_hash_covers(made: Made, tmp_path: Path) -> None:
    path = made.place().policy_path
    told = helm("policy", "check", str(path), "--json").json()
    ended = helm("policy", "compile", str(path), "-o", str(tmp_path / "policy.json"))
    assert ended.out.strip() == told["policy_hash"]
    raw = (tmp_path / "policy.json").read_bytes()
    assert hash_in(domains.POLICY, raw) == told["policy_hash"]
    assert helm("policy", "compile", str(path)).out.encode() == raw
    broken = edit(made, 'risk_tier = "T1"', 'risk_tier = "T9"')
    assert helm("policy", "compile", str(broken)).code == 1


def next_policy(made: Made, tmp_path: Path, *, signed: bool = True) -> Path:
    """Write the policy's second epoch somewhere else, signed."""
    text = made.place().policy_path.read_text(encoding="utf-8")
    path = tmp_path / "next.toml"
    path.write_text(text.replace("epoch = 1", "epoch = 2", 1), encoding="utf-8")
    if signed:
        assert helm("policy", "sign", str(path), *made.option).code == 0
    return path


def files_of(made: Made) -> list[bytes]:
    """Return the policy and its signature as they stand, and the log."""
    path = made.place().policy_path
    told = helm("audit", "list", "--json", *made.option).out.encode()
    return [path.read_bytes(), signature_path(path).read_bytes(), told]


MOST = 256 * 1024
"""Bytes that a file may have where the disk takes no more than a policy."""


def left_socket(made: Made) -> socket.socket:
    """Return a socket at the place of a gateway's, which does not listen yet."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with address(made.path) as path:
        line.bind(path)
    return line


@contextmanager
def answering(made: Made, answer: Callable[[socket.socket], object]) -> Iterator[None]:
    """Stand where a gateway's socket is, and let `answer` have the one client that comes."""

    def serve() -> None:
        with line.accept()[0] as client:
            answer(client)

    with left_socket(made) as line:
        line.listen(1)
        server = Thread(target=serve)
        server.start()
        yield
        server.join()


def activated(made: Made) -> int:
    """Return the epoch of the policy that the log says is in force."""
    active = active_policy(made.place())
    return active.epoch if active else 0


def test_the_socket_of_a_gateway_that_was_killed_keeps_nobody_from_activating(used: Made, tmp_path: Path) -> None:
    path = next_policy(used, tmp_path)
    left_socket(used).close()
    ended = helm("policy", "activate", str(path), "--json", *used.option)
    assert (ended.code, ended.json()["epoch"], activated(used)) == (0, 2, 2)
    assert files_of(used)[:2] == [path.read_bytes(), signature_path(path).read_bytes()]


def test_where_a_gateway_gives_no_answer_nobody_says_that_nothing_changed(used: Made, tmp_path: Path) -> None:
    path = next_policy(used, tmp_path)
    with answering(used, lambda client: client.recv(64)):
        ended = helm("policy", "activate", str(path), "--json", *used.option)
    assert (ended.code, ended.failure()["code"]) == (1, "NO_ANSWER")
    assert "nobody knows" in ended.failure()["message"]
    assert "helm policy show" in ended.failure()["hint"]
    assert files_of(used)[:2] == [path.read_bytes(), signature_path(path).read_bytes()]
    assert helm("policy", "show", *used.option).code == 0
    assert helm("policy", "activate", str(path), *used.option).code == 0  # again, as it says
    assert activated(used) == 2


def test_where_a_gateway_refuses_everything_stays(used: Made, tmp_path: Path) -> None:
    before, path = files_of(used), next_policy(used, tmp_path)

    def refuse(client: socket.socket) -> None:
        client.recv(64)
        client.sendall(b'{"epoch":1,"refused":true,"said":"not that one"}\n')

    with answering(used, refuse):
        ended = helm("policy", "activate", str(path), "--json", *used.option)
    assert (ended.code, ended.failure()["code"], ended.failure()["message"]) == (1, "REFUSED", "not that one")
    assert files_of(used) == before


def test_whoever_does_not_wait_for_the_answer_is_told_that_nobody_knows(used: Made, tmp_path: Path) -> None:
    path, ended = next_policy(used, tmp_path), Event()

    def ctrl_c(client: socket.socket) -> None:
        client.recv(64)
        pthread_kill(main_thread().ident or 0, SIGINT)
        ended.wait(5)  # one that comes right before the wait for the answer does not end that: the end of the line does

    with answering(used, ctrl_c):
        interrupted = helm("policy", "activate", str(path), *used.option)
        ended.set()
    assert interrupted.code == INTERRUPTED
    assert "nobody knows" in interrupted.err
    assert files_of(used)[:2] == [path.read_bytes(), signature_path(path).read_bytes()]


def test_a_kernel_that_ends_in_between_leaves_the_new_files(used: Made, tmp_path: Path) -> None:
    path = next_policy(used, tmp_path)
    with pytest.raises(KernelStopped), put(path, used.place()):
        raise KernelStopped(unknown=True)
    assert files_of(used)[:2] == [path.read_bytes(), signature_path(path).read_bytes()]


def test_what_a_kernel_of_our_own_refuses_leaves_the_old_files(used: Made, tmp_path: Path) -> None:
    before, path = files_of(used), next_policy(used, tmp_path)
    with pytest.raises(Refused), put(path, used.place()):
        raise Refused(ReasonCode.POLICY_VIOLATION, "another came first")
    assert files_of(used) == before


def test_what_cannot_be_written_whole_leaves_the_old_files(used: Made, tmp_path: Path) -> None:
    before, path = files_of(used), next_policy(used, tmp_path)
    signature_path(path).write_bytes(b" " * (MOST + 1))  # the second of the two
    limits = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (MOST, limits[1]))
    try:
        with pytest.raises(Invalid, match="File too large"), put(path, used.place()):
            pytest.fail("the half of it was put")
    finally:
        setrlimit(RLIMIT_FSIZE, limits)
    assert files_of(used) == before


def test_a_policy_is_put_in_force_where_no_gateway_runs(used: Made, tmp_path: Path) -> None:
    path = next_policy(used, tmp_path)
    ended = helm("policy", "activate", str(path), "--json", *used.option)
    assert (ended.code, ended.json()["epoch"]) == (0, 2)
    assert used.place().policy_path.read_bytes() == path.read_bytes()
    active = active_policy(used.place())
    assert active is not None
    assert (active.epoch, active.policy_hash) == (2, ended.json()["policy_hash"])


def test_a_policy_that_nobody_vouches_for_is_not_put_in_force(used: Made, tmp_path: Path) -> None:
    before = files_of(used)
    path = next_policy(used, tmp_path, signed=False)
    unsigned = helm("policy", "activate", str(path), *used.option)
    assert (unsigned.code, "sign the policy" in unsigned.err) == (1, True)
    signature_path(path).write_bytes(before[1])  # of another policy
    another = helm("policy", "activate", str(path), "--json", *used.option).failure()
    assert another["code"] == "POLICY_HASH_MISMATCH"
    assert another["message"].startswith(f"{path}: the signature is over sha256:")
    assert another["message"].endswith(f"sign the policy as it is now: helm policy sign {path}")
    active = active_policy(used.place())
    assert (files_of(used), active.epoch if active else 0) == (before, 1)


def test_an_older_policy_does_not_come_back(used: Made, tmp_path: Path) -> None:
    old = tmp_path / "old.toml"
    old.write_bytes(used.place().policy_path.read_bytes())
    signature_path(old).write_bytes(signature_path(used.place().policy_path).read_bytes())
    assert helm("policy", "activate", str(next_policy(used, tmp_path)), *used.option).code == 0
    before = files_of(used)
    ended = helm("policy", "activate", str(old), "--json", *used.option)
    assert (ended.code, ended.failure()["code"]) == (1, "POLICY_EPOCH_CHANGED")
    assert files_of(used) == before


def test_what_another_kernel_holds_stays_as_it_was(used: Made, tmp_path: Path) -> None:
    before, path = files_of(used)[:2], next_policy(used, tmp_path)

    async def embedded() -> int:
        async with deciding_kernel(used.place()):
            ended = await trio.to_thread.run_sync(lambda: helm("policy", "activate", str(path), *used.option))
        return ended.code

    assert trio.run(embedded) == 1
    active = active_policy(used.place())
    assert (files_of(used)[:2], active.epoch if active else 0) == (before, 1)


def test_a_gateway_that_reads_another_policy_has_not_put_this_one_in_force(used: Made, tmp_path: Path) -> None:
    before, path = files_of(used), next_policy(used, tmp_path)

    def of_its_own(client: socket.socket) -> None:  # as one does that was started with --policy
        client.recv(64)
        client.sendall(b'{"epoch":1,"refused":false,"said":"policy epoch 1 is in force"}\n')

    with answering(used, of_its_own):
        ended = helm("policy", "activate", str(path), "--json", *used.option)
    assert (ended.code, "read another policy" in ended.err, "--policy" in ended.err) == (1, True, True)
    assert files_of(used) == before


@pytest.mark.parametrize("words", [b"[]\n", b'{"said":"yes"}\n', b'"refused said"\n', b"{}"])
def test_an_answer_that_no_gateway_gives_is_none(used: Made, tmp_path: Path, words: bytes) -> None:
    path = next_policy(used, tmp_path)

    def speak(client: socket.socket) -> None:
        client.recv(64)
        client.sendall(words)

    with answering(used, speak):
        ended = helm("policy", "activate", str(path), "--json", *used.option)
    assert (ended.code, ended.failure()["code"]) == (1, "NO_ANSWER")
    assert files_of(used)[:2] == [path.read_bytes(), signature_path(path).read_bytes()]


def is_locked(directory: Path) -> bool:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_of_two_activations_at_once_the_second_touches_nothing(used: Made, tmp_path: Path) -> None:
    before, path, seen = files_of(used), next_policy(used, tmp_path), list[bool]()
    first = os.open(used.path, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    ended = helm("policy", "activate", str(path), *used.option)
    assert (ended.code, "another activation is under way" in ended.err) == (1, True)
    assert files_of(used) == before
    os.close(first)
    with answering(used, lambda client: seen.append(is_locked(used.path))):
        helm("policy", "activate", str(path), *used.option)
    assert (seen, is_locked(used.path)) == ([True], False)


def test_a_gateway_that_starts_meanwhile_never_finds_a_policy_that_is_put_back(used: Made, tmp_path: Path) -> None:
    path = next_policy(used, tmp_path)
    there = [used.place().policy_path, signature_path(used.place().policy_path)]

    async def starting() -> int:
        async with deciding_kernel(used.place()):  # it has the lock, and no socket yet
            ended = await trio.to_thread.run_sync(lambda: helm("policy", "activate", str(path), *used.option))
        return ended.code

    before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in there]
    assert trio.run(starting) == 1
    assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in there] == before


@contextmanager
def ctrl_c_at(call: int) -> Iterator[None]:
    """Press Ctrl-C while the file of this number is written."""
    met = 0

    def strike(frame: FrameType, happened: str, _: object) -> None:
        nonlocal met
        if happened == "call" and frame.f_code is durable.sync_directory.__code__:
            met += 1
            if met == call:
                raise_signal(SIGINT)

    sys.setprofile(strike)
    try:
        yield
    finally:
        sys.setprofile(None)
    assert met >= call


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_ctrl_c_never_leaves_a_policy_with_the_others_signature(used: Made, tmp_path: Path, call: int) -> None:
    path = next_policy(used, tmp_path)
    before, after = files_of(used)[:2], [path.read_bytes(), signature_path(path).read_bytes()]
    with pytest.raises(KeyboardInterrupt), ctrl_c_at(call), put(path, used.place()):
        raise Refused(ReasonCode.POLICY_VIOLATION, "another came first")
    assert files_of(used)[:2] == (after if call <= len(after) else before)


def test_a_disk_that_fails_the_own_kernel_gives_the_lock_back(used: Made, tmp_path: Path) -> None:
    before, path = files_of(used), next_policy(used, tmp_path)
    place = used.place()
    with pytest.raises(FileNotFoundError):
        in_force_here(tmp_path / "none.toml", place)
    assert files_of(used) == before
    assert in_force_here(path, place) == "policy epoch 2 is in force"


def test_ctrl_c_among_other_failures_is_told_too(
    used: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next_policy(used, tmp_path)
    with pytest.raises(BaseExceptionGroup), put(path, used.place()):
        raise BaseExceptionGroup("both", [KeyboardInterrupt(), KernelStopped()])
    assert "nobody knows" in capsys.readouterr().err
