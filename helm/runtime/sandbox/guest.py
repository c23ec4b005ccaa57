"""What may become a guest: a module that is the pinned one and asks for WASI alone, as machine code."""

from __future__ import annotations

import wasmtime

from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxLimits
from helm.crypto.hashing import sha256
from helm.runtime.sandbox import wasi
from helm.runtime.sandbox.port import GuestEnded

PAGE = 65_536
"""Bytes of one page of linear memory (WebAssembly core specification 4.2.8)."""

MAGIC = b"\0asm\x01\0\0\0"
"""How a core module begins (WebAssembly core specification 5.5.16)."""

MAX_MODULE_BYTES = 16 * 1024 * 1024
"""Longest module that is compiled (T4)."""

SETTINGS = "fuel, epochs, canonical NaN, deterministic SIMD, no threads, no memory64, one memory"
"""What `engine` sets of all that machine code depends on: it changes with it."""

ENTRY = "_start"
MEMORY = "memory"


def engine(limits: SandboxLimits) -> wasmtime.Engine:
    """Return an engine in which everything ends, and everything that a machine could do in its own way is pinned."""
    config = wasmtime.Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.max_wasm_stack = limits.stack_bytes
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.parallel_compilation = False  # whoever compiles leaves the other cores to those who answer (T4)
    return wasmtime.Engine(config)


def compiled(module: bytes, module_hash: str, limits: SandboxLimits) -> bytes:
    """Return the machine code of a module that is the pinned one and asks for nothing but WASI. Raises GuestEnded."""
    check_module(module, module_hash)
    try:
        found = wasmtime.Module(engine(limits), module)
    except wasmtime.WasmtimeError as problem:
        words = str(problem).splitlines()[0]
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the module cannot be compiled: {words}") from problem
    check_imports(found)
    check_exports(found)
    check_memories(found, limits)
    return bytes(found.serialize())


def check_module(module: bytes, module_hash: str) -> None:
    """Raise GuestEnded for what is too long, is not the pinned module, or is no module."""
    if len(module) > MAX_MODULE_BYTES:
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the module is longer than {MAX_MODULE_BYTES} bytes")
    if sha256(module) != module_hash:
        raise GuestEnded(ReasonCode.ERR_PACK_HASH_MISMATCH, f"the module does not hash to {module_hash}")
    if not module.startswith(MAGIC):  # the library would also read the text format
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, "the module is not WebAssembly, version 1")


def is_usable(code: bytes, limits: SandboxLimits) -> bool:
    """Tell whether the library takes this machine code of its own: it may be another version's, or processor's."""
    try:
        wasmtime.Module.deserialize(engine(limits), code)
    except wasmtime.WasmtimeError:
        return False
    return True


def check_imports(module: wasmtime.Module) -> None:
    """Raise GuestEnded for an import that is no function of WASI preview 1: nothing else is given to anyone."""
    for wanted in module.imports:
        name = wanted.name or ""
        if wanted.module != wasi.WASI or name not in wasi.SIGNATURES:
            whole = f"{wanted.module}.{name}"[:200]
            raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the module imports {whole!r}, which no guest gets")
        if not isinstance(wanted.type, wasmtime.FuncType) or said(wanted.type) != said(signature(name)):
            raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the module imports {name} with another signature")


def check_exports(module: wasmtime.Module) -> None:
    """Raise GuestEnded unless the module is a command: a memory, and an entry that takes and returns nothing."""
    kinds = {export.name: export.type for export in module.exports}
    entry = kinds.get(ENTRY)
    if not isinstance(entry, wasmtime.FuncType) or said(entry) != ([], []):
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the module exports no {ENTRY} without parameters")
    if not isinstance(kinds.get(MEMORY), wasmtime.MemoryType):
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, "the module exports no memory")


def check_memories(module: wasmtime.Module, limits: SandboxLimits) -> None:
    """Raise GuestEnded for a module that begins with more memory than it may have."""
    for export in module.exports:
        if isinstance(export.type, wasmtime.MemoryType) and export.type.limits.min * PAGE > limits.memory_bytes:
            reason = f"the module begins with more than {limits.memory_bytes} bytes of memory"
            raise GuestEnded(ReasonCode.ERR_COMPUTE_MEMORY_EXHAUSTED, reason)


def said(kind: wasmtime.FuncType) -> tuple[list[str], list[str]]:
    return [str(one) for one in kind.params], [str(one) for one in kind.results]


def signature(name: str) -> wasmtime.FuncType:
    """Return the type of one function of WASI preview 1."""
    wide = {"i": wasmtime.ValType.i32, "I": wasmtime.ValType.i64}
    results = [] if name == "proc_exit" else [wasmtime.ValType.i32()]
    return wasmtime.FuncType([wide[letter]() for letter in wasi.SIGNATURES[name]], results)
