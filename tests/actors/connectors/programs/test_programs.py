"""Programs that attack: each ends with what it started, and its receipt claims what was enforced and nothing more."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.connectors.port import ConnectorFailed, ConnectorUnknown, GuestFailed, NotDispatched, Ran
from actors.connectors.programs import bubblewrap
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxRun
from tests.actors.connectors.programs.kit import (
    CLOSED,
    FENCED,
    HAS_BUBBLEWRAP,
    HAS_LANDLOCK,
    OPEN,
    SHELL,
    bundle,
    hash_of,
    prepared,
    ran,
)

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="a promise that is made on Linux alone")
needs_bubblewrap = pytest.mark.skipif(not HAS_BUBBLEWRAP, reason="bubblewrap is not installed here")
needs_landlock = pytest.mark.skipif(not HAS_LANDLOCK, reason="this kernel has no Landlock, or no known numbers")
SEEING = [pytest.param(OPEN, id="limits"), pytest.param(CLOSED, id="bubblewrap", marks=needs_bubblewrap)]
"""The ways in which a program can look at itself in /proc."""

WAYS = [*SEEING, pytest.param(FENCED, id="landlock", marks=needs_landlock)]
SOON_S = 60.0

THREE = '{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}'
LIST = """{
  "type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}},
  "required": ["a"], "additionalProperties": false
}"""
SHOWS_WORDS = """printf '["%s"' "$#"; for w; do printf ',"%s"' "$w"; done; printf ']'"""


def enforced_in(text: str) -> dict[str, Any]:
    """Return what a reason says was enforced."""
    found: dict[str, Any] = json.loads(text.partition("enforced: ")[2])
    return found


@pytest.mark.parametrize("isolation", WAYS)
async def test_a_program_answers_and_says_what_bounded_it(isolation: str) -> None:
    outcome = await ran("""echo '{"a": 1}'""", isolation=isolation)
    assert isinstance(outcome, Ran)
    assert outcome.answer == {"a": 1}
    assert outcome.run.module_hash == hash_of(SHELL)
    assert outcome.run.lease_id.startswith("lease_")
    told = enforced_in(outcome.enforced)
    assert told["program"] == "hashed at start"
    assert (told["cpu_s"], told["processes"], told["open_files"]) == (10, 4000, 64)
    claimed = {"by", "network", "files", "refused_calls"}
    assert claimed & told.keys() == (set() if isolation == OPEN else claimed)


@needs_linux
@pytest.mark.parametrize("isolation", SEEING)
async def test_a_program_finds_nothing_of_ours(isolation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_ADMIN_API_KEY", "secret")
    counted = """ "$(ls | wc -l)" "$(ls /proc/$$/fd | wc -l)" """
    script = r"""printf '["%s", "%s", "%s"]' "$(tr '\0' ' ' < /proc/self/environ)" """ + counted
    outcome = await ran(script, isolation=isolation, limits='environment = { LANG = "C" }')
    environment, entries, descriptors = outcome.answer
    assert "secret" not in environment
    assert {word.partition("=")[0] for word in environment.split()} <= {"LANG", "PWD", "OLDPWD", "SHLVL", "_"}
    assert int(entries) == 0
    assert int(descriptors) <= 4  # three, and what looks


@pytest.mark.parametrize("isolation", WAYS)
@pytest.mark.parametrize("hostile", ["$(id)", "`id`", "; id", "a b", "*", "'", "&& id", "| id", "> f", "\n", "é", ""])
async def test_no_argument_is_read_by_a_shell(hostile: str, isolation: str) -> None:
    script = """[ "$1" = "$(cat)" ] && echo "$#" """
    both = THREE.replace('"a": {"type": "string"}', '"a": {"type": "string"}, "b": {"type": "string"}').replace(
        '["a"]', '["a", "b"]'
    )
    text = bundle(script, isolation=isolation, schema=both, words=', "{a}"').replace(
        "[tools.run]", 'stdin = "b"\n\n[tools.run]'
    )
    connector, order = prepared(text, {"a": hostile, "b": hostile.rstrip("\n") if hostile != "\n" else ""})
    if hostile == "\n":
        with pytest.raises(ConnectorFailed):
            await connector.dispatch(order)
    else:
        assert (await connector.dispatch(order)).answer == 1


@pytest.mark.parametrize("option", ["-rf", "--help", "-", "--"])
async def test_an_argument_does_not_become_an_option(option: str) -> None:
    with pytest.raises(NotDispatched, match="would be read as an option") as refused:
        await ran(SHOWS_WORDS, {"a": option}, schema=THREE, words=', "{a}"')
    assert refused.value.code is ReasonCode.SCHEMA_VIOLATION
    with pytest.raises(NotDispatched, match="would be read as an option"):
        await ran(SHOWS_WORDS, {"a": ["x", option]}, schema=LIST, words=', "{a}"')


@pytest.mark.parametrize(
    ("words", "options", "want"),
    [
        (', "--", "{a}"', "", ["2", "--", "-x"]),
        (', "--with={a}"', "", ["1", "--with=-x"]),
        (', "{a}"', 'options = ["a"]', ["1", "-x"]),
    ],
)
async def test_an_option_that_the_policy_provides_for_passes(words: str, options: str, want: list[str]) -> None:
    text = bundle(SHOWS_WORDS, schema=THREE, words=words).replace("[tools.run]", f"{options}\n\n[tools.run]")
    connector, order = prepared(text, {"a": "-x"})
    assert (await connector.dispatch(order)).answer == want


async def test_a_list_is_as_many_words_and_a_number_is_written_once() -> None:
    assert (await ran(SHOWS_WORDS, {"a": ["x", "y z", ""]}, schema=LIST, words=', "{a}"')).answer == [
        "3",
        "x",
        "y z",
        "",
    ]
    number = THREE.replace("string", "number")
    assert (await ran(SHOWS_WORDS, {"a": 1e21}, schema=number, words=', "{a}"')).answer == ["1", "1e+21"]


@pytest.mark.parametrize("value", ["nul\x00", "x" * 70_000])
async def test_an_argument_that_fits_into_no_word_starts_nothing(value: str) -> None:
    with pytest.raises(NotDispatched, match="fits into no word"):
        await ran(SHOWS_WORDS, {"a": value}, schema=THREE, words=', "{a}"')


SHELL_BYTES = Path(SHELL).read_bytes()


def write(path: Path, content: bytes) -> None:
    """Put bytes where a program is expected."""
    path.write_bytes(content)


@pytest.mark.parametrize("isolation", WAYS)
async def test_a_program_that_changed_is_not_started(isolation: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    write(program, SHELL_BYTES)
    text = bundle("echo 1", isolation=isolation, program=str(program))
    write(program, SHELL_BYTES + b" ")
    connector, order = prepared(text)
    with pytest.raises(NotDispatched) as refused:
        await connector.dispatch(order)
    assert refused.value.code is ReasonCode.ERR_PACK_HASH_MISMATCH


async def test_a_link_in_the_place_of_the_program_is_not_followed(tmp_path: Path) -> None:
    link = tmp_path / "program"
    link.symlink_to(SHELL)
    connector, order = prepared(bundle("echo 1", program=str(link), program_hash=hash_of(SHELL)))
    with pytest.raises(NotDispatched) as refused:
        await connector.dispatch(order)
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION


async def test_an_order_for_another_grant_starts_nothing() -> None:
    connector, order = prepared(bundle("echo 1"))
    with pytest.raises(NotDispatched) as refused:
        await connector.dispatch(order.but(sandbox_grant_hash="sha256:" + "0" * 64))
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION


async def test_a_host_without_what_the_grant_demands_starts_nothing(tmp_path: Path) -> None:
    async def nowhere() -> None:
        await trio.lowlevel.checkpoint()

    connector, order = prepared(bundle("echo 1", isolation=CLOSED), find=nowhere)
    with pytest.raises(NotDispatched, match="does not have") as refused:
        await connector.dispatch(order)
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION


@needs_linux
async def test_a_tool_that_cannot_set_up_the_isolation_starts_nothing() -> None:
    async def found() -> bubblewrap.Bubblewrap:
        await trio.lowlevel.checkpoint()
        return bubblewrap.Bubblewrap("/bin/false", "bubblewrap of no use")

    connector, order = prepared(bundle("echo 1", isolation=CLOSED), find=found)
    with pytest.raises(NotDispatched, match="nothing was started") as refused:
        await connector.dispatch(order)
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION


@needs_bubblewrap
async def test_a_grant_of_a_path_that_is_not_there_starts_nothing() -> None:
    with pytest.raises(NotDispatched) as refused:
        await ran("echo 1", isolation=CLOSED, limits='reads = ["/nowhere/at/all"]')
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION


@needs_bubblewrap
async def test_under_bubblewrap_there_is_no_network_and_no_file_that_was_not_granted(tmp_path: Path) -> None:
    write(tmp_path / "secret", b"secret")
    looks = [
        f"test -e {tmp_path} && echo 1",
        "test -e /etc/passwd && echo 2",
        "test $(grep -c : /proc/net/dev) = 1 || echo 3",
        "touch /usr/x && echo 4",
        "unshare -U true && echo 5",
        "echo 0",
    ]
    script = f"{{ {'; '.join(looks)}; }} 2>/dev/null | head -1"
    outcome = await ran(script, isolation=CLOSED)
    assert outcome.answer == 0
    assert enforced_in(outcome.enforced)["network"] == "none"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A file that the user of programs can reach: a test's own directory is its owner's alone."""
    with tempfile.TemporaryDirectory(prefix="helm-shared-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        write(Path(name) / "file", b"7")
        yield Path(name) / "file"


@needs_bubblewrap
async def test_under_bubblewrap_what_was_granted_is_there_and_no_more_than_granted(shared: Path) -> None:
    limits = f'reads = ["{shared.parent}"]'
    assert (await ran(f"cat {shared}", isolation=CLOSED, limits=limits)).answer == 7
    outcome = await ran(f"{{ echo 8 > {shared}; }} 2>/dev/null; cat {shared}", isolation=CLOSED, limits=limits)
    assert outcome.answer == 7


# -- What takes too much ------------------------------------------------------------------------------------------


def run_of(ended: Exception) -> SandboxRun:
    """Return the evidence of a run that was ended."""
    assert isinstance(ended, (GuestFailed, ConnectorUnknown))
    return ended.run


@pytest.mark.parametrize("isolation", WAYS)
async def test_a_program_that_computes_too_long_is_ended(isolation: str) -> None:
    with trio.fail_after(SOON_S), pytest.raises((GuestFailed, ConnectorUnknown), match=r"SIGXCPU|SIGKILL") as ended:
        await ran("while :; do :; done", isolation=isolation, limits="cpu_s = 1")
    assert isinstance(ended.value, GuestFailed) == (isolation == CLOSED)
    run = run_of(ended.value)
    assert run.trap in ("SIGXCPU", "SIGKILL")
    assert dict(run.limits)["cpu_s"] == 1


@pytest.mark.parametrize("isolation", WAYS)
async def test_a_program_that_says_too_much_is_ended(isolation: str) -> None:
    said = pytest.raises((GuestFailed, ConnectorUnknown), match="said more than 1000 bytes")
    with trio.fail_after(SOON_S), said as ended:
        await ran("while :; do echo flood; done", isolation=isolation, limits="output_bytes = 1000")
    assert run_of(ended.value).trap == "output exhausted"


@pytest.mark.parametrize("isolation", WAYS)
async def test_a_program_that_writes_too_long_a_file_does_not(isolation: str) -> None:
    script = "head -c 3000000 /dev/zero > big 2>/dev/null; wc -c < big"
    assert (await ran(script, isolation=isolation, limits="file_bytes = 2000000")).answer <= 2_000_000


@needs_linux
@pytest.mark.parametrize("isolation", WAYS)
async def test_a_program_gets_no_more_memory_files_and_processes(isolation: str) -> None:
    limits = "memory_bytes = 300000000\nopen_files = 32\nprocesses = 3000"
    outcome = await ran("""echo "[$(ulimit -v), $(ulimit -n), $(ulimit -t)]" """, isolation=isolation, limits=limits)
    assert outcome.answer == [300_000_000 // 1024, 32, 10]
    told = enforced_in(outcome.enforced)
    assert (told["memory_bytes"], told["processes"]) == (300_000_000, 3000)


@needs_linux
@pytest.mark.parametrize("isolation", WAYS)
async def test_a_bomb_of_forks_ends(isolation: str) -> None:
    number = f"95{os.getpid()}"
    script = f"i=0; while [ $i -lt 200 ]; do i=$((i+1)); sleep {number} & done 2>/dev/null; echo 1"
    with trio.fail_after(SOON_S):
        try:
            await ran(script, isolation=isolation, limits="processes = 150")
        except (ConnectorFailed, ConnectorUnknown):
            pass  # the shell gives up, with whatever status
    assert running(f"sleep {number}") == 0


# -- What stays ---------------------------------------------------------------------------------------------------


def running(words: str) -> int:
    """Return how many processes have this command line, and are no zombies."""
    found = 0
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        found += line == words
    return found


@needs_linux
@pytest.mark.parametrize("isolation", WAYS)
@pytest.mark.parametrize("start", ["sleep {n} &", "setsid sleep {n} &", "(setsid sh -c 'sleep {n} & sleep {n}' &);"])
async def test_what_a_program_leaves_behind_ends_with_it(start: str, isolation: str) -> None:
    number = f"97{os.getpid()}"
    await ran(f"{start.format(n=number)} sleep 0.1; echo 1", isolation=isolation)
    assert running(f"sleep {number}") == 0


@needs_linux
@pytest.mark.parametrize("isolation", WAYS)
async def test_a_cancelled_program_ends_with_all_that_it_started(isolation: str) -> None:
    number = f"98{os.getpid()}"
    script = f"setsid sleep {number} & (sleep {number} &); sleep {number}"
    raised: list[ConnectorFailed | ConnectorUnknown] = []

    async def run() -> None:
        try:
            await ran(script, isolation=isolation)
        except (ConnectorFailed, ConnectorUnknown) as problem:
            raised.append(problem)

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await until_running(f"sleep {number}", 3)
            nursery.cancel_scope.cancel()
    assert running(f"sleep {number}") == 0
    assert "the program was ended" in raised[0].reason
    assert isinstance(raised[0], GuestFailed) == (isolation == CLOSED)


async def until_running(words: str, count: int) -> None:
    """Wait until so many of them run."""
    while running(words) < count:  # noqa: ASYNC110 - what another process does has no event here
        await trio.sleep(0.01)


async def test_many_runs_leave_no_descriptor() -> None:
    connector, order = prepared(bundle("echo 1"))
    await connector.dispatch(order)
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(connector.dispatch, order)
    assert len(os.listdir("/dev/fd")) == before


# -- What is said of it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", WAYS)
async def test_a_program_that_says_it_failed_is_believed(isolation: str) -> None:
    with pytest.raises(ConnectorFailed, match="exit status 3") as failed:
        await ran("exit 3", isolation=isolation)
    assert failed.value.run.module_hash == hash_of(SHELL)


@pytest.mark.parametrize("words", ["", "{", '{"a": 1, "a": 2}', "NaN", "one"])
async def test_an_answer_that_is_no_json_is_none(words: str) -> None:
    with pytest.raises(ConnectorFailed, match="no JSON"):
        await ran(f"printf '%s' '{words}'")


async def test_two_runs_have_two_leases_and_one_grant() -> None:
    connector, order = prepared(bundle("echo 1"))
    first, second = await connector.dispatch(order), await connector.dispatch(order.but(decision_id="dec_2"))
    assert first.run.lease_id != second.run.lease_id
    assert first.enforced == second.enforced
