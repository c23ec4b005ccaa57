"""Which system calls no program makes, as the filter that a kernel takes (seccomp, a program in classic BPF).

A program of ours computes, reads and writes. It has no use for what debugs another process, mounts, loads code into the
kernel, makes namespaces, or reaches the kernel by a second way that no other check sees (io_uring, keyrings, bpf).
What is refused is refused with EPERM, so that a program can say what it missed. A call by the numbers of another
instruction set ends it: the numbers would mean something else.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

REFUSED: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "acct": (163, 89),
        "add_key": (248, 217),
        "adjtimex": (159, 171),
        "bpf": (321, 280),
        "chroot": (161, 51),
        "clock_adjtime": (305, 266),
        "clock_settime": (227, 112),
        "delete_module": (176, 106),
        "finit_module": (313, 273),
        "fsconfig": (431, 431),
        "fsmount": (432, 432),
        "fsopen": (430, 430),
        "fspick": (433, 433),
        "init_module": (175, 105),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
        "io_uring_setup": (425, 425),
        "ioperm": (173, -1),
        "iopl": (172, -1),
        "kcmp": (312, 272),
        "kexec_file_load": (320, 294),
        "kexec_load": (246, 104),
        "keyctl": (250, 219),
        "lookup_dcookie": (212, 18),
        "modify_ldt": (154, -1),
        "mount": (165, 40),
        "mount_setattr": (442, 442),
        "move_mount": (429, 429),
        "open_by_handle_at": (304, 265),
        "open_tree": (428, 428),
        "perf_event_open": (298, 241),
        "pidfd_getfd": (438, 438),
        "pivot_root": (155, 41),
        "process_madvise": (440, 440),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "ptrace": (101, 117),
        "quotactl": (179, 60),
        "quotactl_fd": (443, 443),
        "reboot": (169, 142),
        "request_key": (249, 218),
        "sethostname": (170, 161),
        "setdomainname": (171, 162),
        "setns": (308, 268),
        "settimeofday": (164, 170),
        "swapoff": (168, 225),
        "swapon": (167, 224),
        "syslog": (103, 116),
        "umount2": (166, 39),
        "unshare": (272, 97),
        "userfaultfd": (323, 282),
        "vhangup": (153, 58),
    }
)
"""By name, its numbers on x86-64 and on 64-bit ARM, -1 where there is none (asm/unistd_64.h, asm-generic/unistd.h)."""

SOCKET: Final = (41, 198)
CLONE: Final = (56, 220)
CLONE3: Final = (435, 435)

NAMESPACES: Final = 0x7E02_0000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (sched.h)."""

X32: Final = 0x4000_0000
"""A second set of numbers of x86-64, by which every call could be made once more."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions (linux/bpf_common.h): load a word, three jumps, return."""

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF_0000, 0x0005_0001, 0x0005_0026, 0x8000_0000
"""What a filter answers (linux/seccomp.h)."""

NUMBER_AT, SET_AT, FIRST_AT = 0, 4, 16
"""Where a call's number, its instruction set and its first argument stand in what a filter sees."""


@attrs.frozen
class Machine:
    """One instruction set: as the kernel names it, and which column of numbers is its own."""

    audit: int
    column: int


MACHINES: Final[Mapping[str, Machine]] = MappingProxyType(
    {"x86_64": Machine(0xC000_003E, 0), "aarch64": Machine(0xC000_00B7, 1)}
)


def refusing(*, network: bool, machine: str = "") -> bytes:
    """Return the filter for programs of this machine, b"" where its numbers are not known here.

    Without `network` a program makes no socket, of whatever family: a path in the file system reaches a daemon too.
    """
    here = MACHINES.get(machine or platform.machine())
    if here is None:
        return b""
    numbers = [
        one[here.column] for one in (*REFUSED.values(), *(() if network else (SOCKET,))) if one[here.column] >= 0
    ]
    # A jump says how many instructions are skipped behind it. Behind the numbers stand seven: the last three answer.
    size = len(numbers)
    jumps = [jump(EQUAL, number, size - at + 4, 0) for at, number in enumerate(numbers)]
    return b"".join(
        (
            jump(LOAD, SET_AT, 0, 0),
            jump(EQUAL, here.audit, 1, 0),
            jump(RETURN, KILL, 0, 0),
            jump(LOAD, NUMBER_AT, 0, 0),
            jump(AT_LEAST, X32, size + 5, 0),
            *jumps,
            jump(EQUAL, CLONE3[here.column], 5, 0),
            jump(EQUAL, CLONE[here.column], 0, 2),
            jump(LOAD, FIRST_AT, 0, 0),
            jump(ANY_BIT, NAMESPACES, 1, 0),
            jump(RETURN, ALLOW, 0, 0),
            jump(RETURN, EPERM, 0, 0),
            jump(RETURN, ENOSYS, 0, 0),
        )
    )


def jump(code: int, value: int, if_so: int, if_not: int) -> bytes:
    """Return one instruction (struct sock_filter)."""
    return struct.pack("<HBBI", code, if_so, if_not, value)


def count(filter_bytes: bytes) -> int:
    """Return how many calls a filter refuses by their numbers alone."""
    codes = [int.from_bytes(filter_bytes[at : at + 2], "little") for at in range(0, len(filter_bytes), 8)]
    return max(0, codes.count(EQUAL) - 3)  # the machine, clone and clone3
