"""Guests written by hand: honest ones, and one for every way in which a guest attacks."""

from __future__ import annotations

from wasmtime import wat2wasm

from helm.contracts.sandbox import SandboxLimits

LIMITS = SandboxLimits(
    fuel=1_000_000, memory_bytes=64 << 20, open_files=16, output_bytes=1 << 20, stack_bytes=512 << 10, wall_ms=5_000
)

IO = """
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
"""
"""The two imports of a guest that reads its arguments and writes an answer."""

SAY = """
  (func $say (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
"""


def guest(body: str, *, imports: str = "", memory: str = "1", rest: str = "") -> bytes:
    """Return a module whose entry runs `body`."""
    text = f'(module {imports} (memory (export "memory") {memory}) {rest} (func (export "_start") {body}))'
    return bytes(wat2wasm(text))


ECHO = guest(
    """
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 60000))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $say (i32.const 64) (i32.load (i32.const 8)))
    """,
    imports=IO,
    rest=SAY,
)
"""Answers with its arguments."""

ANSWERS_TWO = guest("(call $say (i32.const 64) (i32.const 1))", imports=IO, rest=SAY + '(data (i32.const 64) "2")')
LOOP = guest("(loop $again (br $again))")
UNREACHABLE = guest("unreachable")
DIVIDES_BY_ZERO = guest("(drop (i32.div_u (i32.const 1) (i32.const 0)))")
OUT_OF_BOUNDS = guest("(drop (i32.load (i32.const 70000)))")
RECURSES = guest("(call $down)", rest="(func $down (call $down))")
GROWS = guest(
    """
    (loop $again
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
      (br $again))
    """
)
BEGINS_LARGE = guest("", memory="2000")
GROWS_ITS_TABLE = guest(
    "(if (i32.eq (table.grow $t (ref.null func) (i32.const 10000000)) (i32.const -1)) (then unreachable))",
    rest="(table $t 1 funcref)",
)
BEGINS_WITH_A_LARGE_TABLE = guest("", rest="(table 10000000 funcref)")
FLOODS = guest("(loop $again (call $say (i32.const 64) (i32.const 60000)) (br $again))", imports=IO, rest=SAY)
FLOODS_ITS_STDERR = guest(
    """
    (i32.store (i32.const 4) (i32.const 60000))
    (loop $again (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) (br $again))
    """,
    imports=IO,
)
EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
EXITS_WITH_3 = guest("(call $exit (i32.const 3))", imports=EXIT)
ASKS_ITS_HOST = guest("(call $shell)", imports='(import "env" "system" (func $shell))')
MISTYPES = guest("", imports='(import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))')
NO_MEMORY = bytes(wat2wasm('(module (func (export "_start")))'))
NO_ENTRY = bytes(wat2wasm('(module (memory (export "memory") 1))'))
TRUNCATED = ECHO[: len(ECHO) // 2]
NO_MODULE = b"#!/bin/sh\n"
TEXT = b'(module (memory (export "memory") 1) (func (export "_start")))'


def asks(name: str, parameters: str, arguments: str) -> bytes:
    """Return a guest that calls one function of WASI and answers with the error it got, as one digit pair."""
    return guest(
        f"""
        (local $error i32)
        (local.set $error (call $ask {arguments}))
        (i32.store8 (i32.const 64) (i32.add (i32.const 48) (i32.div_u (local.get $error) (i32.const 10))))
        (i32.store8 (i32.const 65) (i32.add (i32.const 48) (i32.rem_u (local.get $error) (i32.const 10))))
        (call $say (i32.const 64) (i32.const 2))
        """,
        imports=IO + f'(import "wasi_snapshot_preview1" "{name}" (func $ask {parameters} (result i32)))',
        rest=SAY,
    )


P1 = "wasi_snapshot_preview1"
OPEN = f'(import "{P1}" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))'
TO_READ, TO_WRITE = 1 << 1, 1 << 6
CREATES, FOLDER, TRUNCATES = 1, 2, 8

TELL_ERROR = """
  (func $tell (param $error i32)
    (i32.store8 (i32.const 64) (i32.const 49))
    (i32.store8 (i32.const 65) (i32.add (i32.const 48) (i32.div_u (local.get $error) (i32.const 10))))
    (i32.store8 (i32.const 66) (i32.add (i32.const 48) (i32.rem_u (local.get $error) (i32.const 10))))
    (call $say (i32.const 64) (i32.const 3)))
"""
"""Answers with an error as a number of JSON: 100 and the error."""


def opens(path: str, *, how: int = 0, rights: int = TO_READ, then: str = "", imports: str = "") -> bytes:
    """Return a guest that opens a path below its first folder, and then answers; with the error where there is one.

    `then` finds the descriptor at 16, 4,000 bytes of the file may lie at 1000.
    """
    size = len(path.encode())
    return guest(
        f"""
        (local $error i32)
        (local.set $error (call $open (i32.const 3) (i32.const 1) (i32.const 512) (i32.const {size}) (i32.const {how})
          (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 16)))
        (if (local.get $error) (then (call $tell (local.get $error)) (return)))
        {then or READS_IT}
        """,
        imports=IO + OPEN + imports,
        rest=SAY + TELL_ERROR + f'(data (i32.const 512) "{path}")',
    )


READS_IT = """
  (i32.store (i32.const 24) (i32.const 1000)) (i32.store (i32.const 28) (i32.const 4000))
  (local.set $error (call $read (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 32)))
  (if (local.get $error) (then (call $tell (local.get $error)) (return)))
  (call $say (i32.const 1000) (i32.load (i32.const 32)))
"""
"""Answers with what is in the file that was opened."""

WRITES_IT = """
  (i32.store (i32.const 24) (i32.const 512)) (i32.store (i32.const 28) (i32.const 4))
  (call $tell (call $write (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 32)))
"""
"""Writes the first four letters of the path into the file, and answers with the error of that."""


def at_path(name: str, path: str, *, lead: str = "") -> bytes:
    """Return a guest that does something with a path below its first folder and answers with the error."""
    return guest(
        f"(call $tell (call $ask (i32.const 3) {lead} (i32.const 512) (i32.const {len(path.encode())})))",
        imports=IO + f'(import "{P1}" "{name}" (func $ask (param {"i32 " * (3 + bool(lead))}) (result i32)))',
        rest=SAY + TELL_ERROR + f'(data (i32.const 512) "{path}")',
    )


def answers_with(name: str, size: int, *, parameters: str, arguments: str) -> bytes:
    """Return a guest that calls one function and answers with what it put down at 64."""
    return guest(
        f"(drop (call $ask {arguments})) (call $say (i32.const 64) (i32.const {size}))",
        imports=IO + f'(import "{P1}" "{name}" (func $ask (param {parameters}) (result i32)))',
        rest=SAY,
    )


CLOCK = answers_with(
    "clock_time_get", 8, parameters="i32 i64 i32", arguments="(i32.const 0) (i64.const 0) (i32.const 64)"
)
DRAWS = answers_with("random_get", 8, parameters="i32 i32", arguments="(i32.const 64) (i32.const 8)")
READS_ITS_VARIABLES = guest(
    """
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (drop (call $get (i32.const 128) (i32.const 1024)))
    (call $say (i32.const 1024) (i32.load (i32.const 20)))
    """,
    imports=IO
    + f'(import "{P1}" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))'
    + f'(import "{P1}" "environ_get" (func $get (param i32 i32) (result i32)))',
    rest=SAY,
)
LISTS = guest(
    """
    (drop (call $list (i32.const 3) (i32.const 1000) (i32.const 4000) (i64.const 0) (i32.const 16)))
    (call $say (i32.const 1000) (i32.load (i32.const 16)))
    """,
    imports=IO + f'(import "{P1}" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))',
    rest=SAY,
)
