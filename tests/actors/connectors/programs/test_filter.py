"""The filter, run instruction by instruction: what it lets pass, what it refuses, what it ends."""

from __future__ import annotations

import struct

import pytest

from actors.connectors.programs.filter import (
    ALLOW,
    CLONE,
    CLONE3,
    ENOSYS,
    EPERM,
    KILL,
    MACHINES,
    REFUSED,
    SOCKET,
    X32,
    count,
    refusing,
)

COLUMNS = {"x86_64": 0, "aarch64": 1}
READ = {"x86_64": 0, "aarch64": 63}
"""A call that every program makes."""


def answer(filter_bytes: bytes, number: int, audit: int, first: int = 0) -> int:
    """Run a filter as a kernel does, over one call."""
    seen = struct.pack("<IIQQ", number, audit, 0, first)
    at, word = 0, 0
    while True:
        code, if_so, if_not, value = struct.unpack_from("<HBBI", filter_bytes, 8 * at)
        at += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("<I", seen, value)
            case 0x15:
                at += if_so if word == value else if_not
            case 0x35:
                at += if_so if word >= value else if_not
            case 0x45:
                at += if_so if word & value else if_not
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("network", [True, False])
def test_every_call_of_the_list_is_refused_and_no_other(machine: str, network: bool) -> None:
    column, audit = COLUMNS[machine], MACHINES[machine].audit
    found = refusing(network=network, machine=machine)
    refused = {one[column] for one in REFUSED.values()} | (set() if network else {SOCKET[column]})
    for number in range(600):
        want = EPERM if number in refused else ENOSYS if number == CLONE3[column] else ALLOW
        assert (number, answer(found, number, audit)) == (number, want)
    assert count(found) == len(refused - {-1})


@pytest.mark.parametrize("machine", MACHINES)
def test_a_process_is_made_and_a_namespace_is_not(machine: str) -> None:
    found, number, audit = refusing(network=True, machine=machine), CLONE[COLUMNS[machine]], MACHINES[machine].audit
    assert answer(found, number, audit, 17) == ALLOW  # SIGCHLD: a fork
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(found, number, audit, namespace | 17) == EPERM


def test_another_instruction_set_ends_the_program_and_the_second_numbers_are_refused() -> None:
    found = refusing(network=True, machine="x86_64")
    assert answer(found, READ["x86_64"], 0x4000_0003) == KILL  # i386
    assert answer(found, READ["x86_64"] | X32, MACHINES["x86_64"].audit) == EPERM


def test_a_machine_that_nobody_knows_has_no_filter() -> None:
    assert refusing(network=False, machine="riscv64") == b""
    assert count(b"") == 0
