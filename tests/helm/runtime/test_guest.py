"""Every hostile guest is ended by its own stable code, the same every time, and nothing of it stays."""

from __future__ import annotations

import threading
import time
from typing import cast

import pytest
from wasmtime import _ffi as c

from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxLimits
from helm.crypto.hashing import sha256
from helm.runtime.sandbox import wasi
from helm.runtime.sandbox.cell import Cell
from helm.runtime.sandbox.guest import compiled
from helm.runtime.sandbox.port import Answered, Guest, GuestEnded
from tests.helm.runtime import guests

LIMITS = guests.LIMITS
FOR_EVER = LIMITS.but(fuel=10**12)


class Asked:
    """Whether the guest is to end before it begins."""

    def __init__(self, is_asked: bool) -> None:
        self.is_asked = is_asked


NEVER = Asked(False)
ARGUMENTS = Guest(b'{"a":1}')


def cell(module: bytes, limits: SandboxLimits = LIMITS) -> Cell:
    return Cell(compiled(module, sha256(module), limits), limits)


def end_of(module: bytes, limits: SandboxLimits = LIMITS) -> GuestEnded:
    with pytest.raises(GuestEnded) as ended:
        cell(module, limits).run(ARGUMENTS, NEVER)
    return ended.value


def test_a_guest_reads_its_arguments_and_writes_its_answer() -> None:
    assert cell(guests.ECHO).run(ARGUMENTS, NEVER).output == ARGUMENTS.arguments


def test_a_cell_begins_anew_for_every_guest() -> None:
    one = cell(guests.ECHO)
    assert [one.run(Guest(text), NEVER).output for text in (b"[1,2,3]", b"4", b"")] == [b"[1,2,3]", b"4", b""]


class Stores:
    """Counts the stores of guests that are there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = 0
        new, delete = c.wasmtime_store_new, c.wasmtime_store_delete

        def made(*arguments: object) -> object:
            self.there += 1
            return new(*arguments)

        def deleted(store: object) -> None:
            self.there -= 1
            delete(store)

        monkeypatch.setattr(c, "wasmtime_store_new", made)
        monkeypatch.setattr(c, "wasmtime_store_delete", deleted)


def test_nothing_of_a_guest_outlives_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stores, one, hostile = Stores(monkeypatch), cell(guests.ECHO), cell(guests.LOOP)
    one.run(ARGUMENTS, NEVER)
    with pytest.raises(GuestEnded):
        hostile.run(ARGUMENTS, NEVER)
    assert stores.there == 0


def test_what_is_left_behind_an_answer_is_gone_before_the_next_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    stores, one = Stores(monkeypatch), cell(guests.ECHO)
    for _ in range(3):
        assert one.answer(ARGUMENTS, NEVER).output == ARGUMENTS.arguments
        assert stores.there == 1
    one.clear()
    one.clear()
    assert stores.there == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("LOOP", ReasonCode.ERR_COMPUTE_GAS_EXHAUSTED),
        ("UNREACHABLE", ReasonCode.ERR_COMPUTE_TRAP),
        ("DIVIDES_BY_ZERO", ReasonCode.ERR_COMPUTE_TRAP),
        ("OUT_OF_BOUNDS", ReasonCode.ERR_COMPUTE_TRAP),
        ("RECURSES", ReasonCode.ERR_COMPUTE_TRAP),
        ("GROWS", ReasonCode.ERR_COMPUTE_MEMORY_EXHAUSTED),
        ("BEGINS_LARGE", ReasonCode.ERR_COMPUTE_MEMORY_EXHAUSTED),
        ("GROWS_ITS_TABLE", ReasonCode.ERR_COMPUTE_TRAP),
        ("BEGINS_WITH_A_LARGE_TABLE", ReasonCode.ERR_COMPUTE_MEMORY_EXHAUSTED),
        ("FLOODS", ReasonCode.ERR_COMPUTE_OUTPUT_EXHAUSTED),
        ("FLOODS_ITS_STDERR", ReasonCode.ERR_COMPUTE_OUTPUT_EXHAUSTED),
        ("EXITS_WITH_3", ReasonCode.ERR_CONNECTOR_ERROR),
        ("ASKS_ITS_HOST", ReasonCode.SANDBOX_VIOLATION),
        ("MISTYPES", ReasonCode.SANDBOX_VIOLATION),
        ("NO_MEMORY", ReasonCode.SANDBOX_VIOLATION),
        ("NO_ENTRY", ReasonCode.SANDBOX_VIOLATION),
        ("TRUNCATED", ReasonCode.SANDBOX_VIOLATION),
        ("NO_MODULE", ReasonCode.SANDBOX_VIOLATION),
        ("TEXT", ReasonCode.SANDBOX_VIOLATION),
    ],
)
def test_every_attack_has_its_code_and_the_same_every_time(name: str, code: ReasonCode) -> None:
    first, again = end_of(vars(guests)[name]), end_of(vars(guests)[name])
    assert first.code is code
    assert (first.reason, first.fuel_used) == (again.reason, again.fuel_used)


def test_the_end_of_one_guest_is_never_that_of_another() -> None:
    leaves = guests.guest("(call $exit (i32.const 0))", imports=guests.EXIT)
    ends: dict[bytes, set[str]] = {leaves: set(), guests.FLOODS: set(), guests.UNREACHABLE: set()}

    def visit(module: bytes, code: bytes) -> None:
        one = Cell(code, LIMITS)
        for _ in range(100):
            try:
                one.run(ARGUMENTS, NEVER)
                ends[module].add("")
            except GuestEnded as end:
                ends[module].add(end.code)

    threads = [threading.Thread(target=visit, args=(one, compiled(one, sha256(one), LIMITS))) for one in [*ends] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [*ends.values()] == [{""}, {"ERR_COMPUTE_OUTPUT_EXHAUSTED"}, {"ERR_COMPUTE_TRAP"}]


def test_an_error_of_ours_inside_a_guest_is_told_behind_it() -> None:
    one = cell(guests.ECHO)
    with pytest.raises(TypeError):
        one.run(Guest(cast(bytes, 7)), NEVER)
    assert one.run(ARGUMENTS, NEVER).output == ARGUMENTS.arguments


def test_a_guest_that_speaks_before_it_begins_is_heard_and_bounded_too() -> None:
    speaks = guests.guest(
        "(call $say (i32.const 64) (i32.const 1))",
        imports=guests.IO,
        rest=guests.SAY
        + '(func $first (call $say (i32.const 65) (i32.const 1))) (start $first) (data (i32.const 64) "21")',
    )
    assert cell(speaks).run(ARGUMENTS, NEVER).output == b"12"
    spins = guests.guest("", rest="(func $first (loop $again (br $again))) (start $first)")
    assert end_of(spins).code is ReasonCode.ERR_COMPUTE_GAS_EXHAUSTED


def test_the_trap_is_named() -> None:
    assert "integer division by zero" in end_of(guests.DIVIDES_BY_ZERO).reason
    assert "stack overflow" in end_of(guests.RECURSES).reason


def test_a_module_that_is_not_the_pinned_one_is_not_run() -> None:
    with pytest.raises(GuestEnded) as ended:
        compiled(guests.ECHO, sha256(guests.ANSWERS_TWO), LIMITS)
    assert ended.value.code is ReasonCode.ERR_PACK_HASH_MISMATCH


def test_a_hundred_runs_give_one_answer_and_one_fuel_figure() -> None:
    one = cell(guests.ECHO)
    assert len({(answer.output, answer.fuel_used) for answer in (one.run(ARGUMENTS, NEVER) for _ in range(100))}) == 1


def test_fuel_is_what_the_grant_says() -> None:
    ended = end_of(guests.LOOP, LIMITS.but(fuel=5_000, memory_bytes=1 << 16, output_bytes=1, stack_bytes=1 << 16))
    assert (ended.code, ended.fuel_used) == (ReasonCode.ERR_COMPUTE_GAS_EXHAUSTED, 5_000)


def test_a_guest_that_never_ends_is_interrupted_and_its_cell_serves_again() -> None:
    one = cell(guests.LOOP, FOR_EVER)
    for _ in range(2):
        over = threading.Event()
        began = time.monotonic()

        def interrupt(over: threading.Event = over) -> None:
            while not over.wait(0.002):
                one.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with pytest.raises(GuestEnded) as ended:
                one.run(ARGUMENTS, NEVER)
        finally:
            over.set()
            thread.join()
        assert ended.value.code is ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED
        assert time.monotonic() - began < 5


def test_a_guest_that_is_to_end_before_it_begins_does_not_begin() -> None:
    one = cell(guests.LOOP, FOR_EVER)
    with pytest.raises(GuestEnded, match="never started") as ended:
        one.run(ARGUMENTS, Asked(True))
    assert ended.value.code is ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED


@pytest.mark.parametrize(
    ("name", "parameters", "arguments"),
    [
        ("clock_time_get", "(param i32 i64 i32)", "(i32.const 0) (i64.const 0) (i32.const 128)"),
        ("random_get", "(param i32 i32)", "(i32.const 128) (i32.const 8)"),
        (
            "path_open",
            "(param i32 i32 i32 i32 i32 i64 i64 i32 i32)",
            f"(i32.const 3) {'(i32.const 0) ' * 4} {'(i64.const 0) ' * 2} (i32.const 0) (i32.const 128)",
        ),
        ("sock_accept", "(param i32 i32 i32)", "(i32.const 3) (i32.const 0) (i32.const 128)"),
        ("poll_oneoff", "(param i32 i32 i32 i32)", "(i32.const 0) (i32.const 0) (i32.const 1) (i32.const 128)"),
    ],
)
def test_what_only_a_grant_could_give_is_refused(name: str, parameters: str, arguments: str) -> None:
    answer = cell(guests.asks(name, parameters, arguments)).run(ARGUMENTS, NEVER)
    assert answer.output == b"%d" % wasi.NOTCAPABLE


@pytest.mark.parametrize("name", ["args_sizes_get", "environ_sizes_get"])
def test_there_are_no_arguments_and_no_variables(name: str) -> None:
    asked = guests.asks(name, "(param i32 i32)", "(i32.const 128) (i32.const 132)")
    assert cell(asked).run(ARGUMENTS, NEVER).output == b"00"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("(i32.const 0) (i32.const -8) (i32.const 1) (i32.const 128)", wasi.FAULT),
        ("(i32.const 0) (i32.const 0) (i32.const 1) (i32.const 65535)", wasi.FAULT),
        ("(i32.const 0) (i32.const 0) (i32.const 100000) (i32.const 128)", wasi.INVAL),
        ("(i32.const 0) (i32.const 0) (i32.const -1) (i32.const 128)", wasi.INVAL),
        ("(i32.const 3) (i32.const 0) (i32.const 1) (i32.const 128)", wasi.BADF),
    ],
)
def test_a_guest_that_points_outside_its_memory_is_told_so(arguments: str, error: int) -> None:
    asked = guests.asks("fd_read", "(param i32 i32 i32 i32)", arguments)
    assert cell(asked).run(ARGUMENTS, NEVER).output == b"%02d" % error


def test_every_function_of_preview_1_is_there() -> None:
    assert len(wasi.SIGNATURES) == 46
    assert wasi.ANSWERS.keys() == wasi.SIGNATURES.keys()


def test_an_answer_says_what_it_cost() -> None:
    assert cell(guests.ANSWERS_TWO).run(ARGUMENTS, NEVER) == Answered(b"2", 16)
