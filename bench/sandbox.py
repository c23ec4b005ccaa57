"""What a guest costs: one order through the sandbox's connector, against bare wasmtime."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import wasmtime

from actors.connectors.compiling import module_file
from actors.connectors.port import Dispatch
from actors.connectors.wasm import WasmConnector
from bench.figure import Figure
from helm.crypto.hashing import sha256
from helm.guardian.bundle_grants import DEFAULT_FUEL, read_grant
from helm.guardian.bundle_table import Table
from helm.guardian.connection import WasmConnection

CALLS = 300

ECHO = """
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 60000))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""
"""A guest that answers with its arguments."""


def bare_us(module: bytes) -> float:
    """Return what wasmtime alone takes for a store, an instance and a call of this module, with a WASI of its own."""
    config = wasmtime.Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    compiled, linker = wasmtime.Module(engine, module), wasmtime.Linker(engine)
    linker.define_wasi()
    start = time.perf_counter()
    for _ in range(CALLS):
        with wasmtime.Store(engine) as store:
            store.set_wasi(wasmtime.WasiConfig())
            store.set_fuel(DEFAULT_FUEL)
            store.set_epoch_deadline(1)
            entry = linker.instantiate(store, compiled).exports(store)["_start"]
            if isinstance(entry, wasmtime.Func):
                entry(store)
    return (time.perf_counter() - start) / CALLS * 1e6


async def guests_us(connector: WasmConnector, order: Dispatch) -> float:
    """Return what one order takes, one after another."""
    start = time.perf_counter()
    for _ in range(CALLS):
        await connector.dispatch(order)
    return (time.perf_counter() - start) / CALLS * 1e6


async def sandbox(runs: int) -> list[Figure]:
    """Measure a warm module, thread and evidence included."""
    module = bytes(wasmtime.wat2wasm(ECHO))
    guests, bare = [], []
    with TemporaryDirectory(prefix="helm-bench-") as directory:
        grant = read_grant(Table("connectors.guests", {"module_hash": sha256(module)}))
        module_file(Path(directory), grant.module_hash).write_bytes(module)
        connector = WasmConnector(WasmConnection(name="guests", grant=grant, grant_hash="bench"), Path(directory))
        order = order_for(b'{"path":"public/plan.txt","limit":10}')
        await guests_us(connector, order)
        for _ in range(runs):
            bare.append(bare_us(module))
            guests.append(await guests_us(connector, order))
    return [
        Figure(
            name="one guest, thread and evidence included, over bare wasmtime: store, instance, call",
            target=4.0,
            at_least=False,
            samples=[guest / alone for guest, alone in zip(guests, bare, strict=True)],
            detail=f"{median(guests):,.0f} us, bare {median(bare):,.0f} us",
        )
    ]


def order_for(arguments: bytes) -> Dispatch:
    """Return an order as the executor makes them out."""
    return Dispatch(
        tool="guest",
        operation="",
        arguments=arguments,
        parsed=None,
        args_hash=sha256(arguments),
        destination="",
        connector="guests",
        timeout_ms=5_000,
        decision_id="dec_bench",
        effect_id="eff_bench",
        intent_hash="",
        idempotency_key="",
        sandbox_grant_hash="bench",
    )
