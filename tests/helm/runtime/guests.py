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
