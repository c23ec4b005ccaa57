"""The one door to wasmtime: a module in a cell of its own, run again and again, each time from its beginning."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import wasmtime

from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxLimits
from helm.crypto.hashing import sha256
from helm.runtime.sandbox import traps, wasi
from helm.runtime.sandbox.port import Answered, Guest, GuestEnded

PAGE = 65_536
"""Bytes of one page of linear memory (WebAssembly core specification 4.2.8)."""

MAGIC = b"\0asm\x01\0\0\0"
"""How a core module begins (WebAssembly core specification 5.5.16)."""

MAX_MODULE_BYTES = 16 * 1024 * 1024
"""Longest module that is compiled (T4)."""

MAX_TABLE_ELEMENTS = 65_536
MAX_TABLES = 4

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
    return wasmtime.Engine(config)


def compiled(module: bytes, module_hash: str, limits: SandboxLimits) -> bytes:
    """Return the machine code of a module that is the pinned one and asks for nothing but WASI. Raises GuestEnded."""
    if sha256(module) != module_hash:
        raise GuestEnded(ReasonCode.ERR_PACK_HASH_MISMATCH, f"the module does not hash to {module_hash}")
    if not module.startswith(MAGIC):  # the library would also read the text format
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, "the module is not WebAssembly, version 1")
    try:
        found = wasmtime.Module(engine(limits), module)
    except wasmtime.WasmtimeError as problem:
        words = str(problem).splitlines()[0]
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the module cannot be compiled: {words}") from problem
    check_imports(found)
    check_exports(found)
    check_memories(found, limits)
    return bytes(found.serialize())


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


@attrs.frozen
class Memory:
    """A guest's linear memory, every access checked against its size of that moment."""

    memory: wasmtime.Memory
    caller: wasmtime.Caller

    def read(self, start: int, size: int) -> bytes:
        """Return so many bytes. Raises OutOfBounds."""
        begin = self._checked(start, size)
        return bytes(self.memory.read(self.caller, begin, begin + size)) if size else b""

    def write(self, start: int, data: bytes) -> None:
        """Put bytes down. Raises OutOfBounds."""
        begin = self._checked(start, len(data))
        if data:
            self.memory.write(self.caller, data, begin)

    def _checked(self, start: int, size: int) -> int:
        begin = start & 0xFFFF_FFFF  # a guest's numbers have no sign; the library reads them as if they had
        if size < 0 or begin + size > self.memory.data_len(self.caller):
            raise wasi.OutOfBounds
        return begin


class Cell:
    """One compiled module in an engine of its own, so that interrupting it interrupts nobody else."""

    def __init__(self, code: bytes, limits: SandboxLimits) -> None:
        self._limits = limits
        self._engine = engine(limits)
        self._module = wasmtime.Module.deserialize(self._engine, code)
        self._linker = wasmtime.Linker(self._engine)
        self._streams = wasi.Streams(b"", 0)
        self._memory = 0
        for name in {wanted.name or "" for wanted in self._module.imports}:
            answers = self._answering(wasi.ANSWERS[name])
            self._linker.define_func(wasi.WASI, name, signature(name), answers, access_caller=True)

    def run(self, guest: Guest) -> Answered:
        """Return the guest's answer. Raises GuestEnded. Nothing of the guest outlives the call."""
        limits = self._limits
        self._streams, self._memory = wasi.Streams(guest.arguments, limits.output_bytes), 0
        with wasmtime.Store(self._engine) as store:
            store.set_limits(limits.memory_bytes, MAX_TABLE_ELEMENTS, instances=1, tables=MAX_TABLES, memories=1)
            store.set_fuel(limits.fuel)
            store.set_epoch_deadline(1)
            try:
                self._enter(store)
            except (wasi.Exit, wasi.OutputExhausted, wasmtime.WasmtimeError, wasmtime.Trap) as problem:
                ended = self._why(problem)
                if ended is not None:
                    raise GuestEnded(*ended, self._used(store)) from problem
            return Answered(b"".join(self._streams.output), self._used(store))

    def _enter(self, store: wasmtime.Store) -> None:
        exports = self._linker.instantiate(store, self._module).exports(store)
        entry, memory = exports[ENTRY], exports[MEMORY]
        if not isinstance(entry, wasmtime.Func) or not isinstance(memory, wasmtime.Memory):
            raise TypeError("what was checked when the module was compiled is another one now")
        try:
            entry(store)
        finally:
            self._memory = memory.data_len(store)

    def _why(self, problem: Exception) -> tuple[ReasonCode, str] | None:
        """Return the code and the words for what ended the guest, None where it ended itself, and well."""
        limits = self._limits
        match problem:
            case wasi.Exit(code=0):
                return None
            case wasi.Exit():
                return ReasonCode.ERR_CONNECTOR_ERROR, f"the guest ended with {problem}"
            case wasi.OutputExhausted():
                return ReasonCode.ERR_COMPUTE_OUTPUT_EXHAUSTED, f"the guest wrote more than {limits.output_bytes} bytes"
            case wasmtime.Trap():
                return traps.code_of(name_of(problem), self._memory, limits.memory_bytes)
            case _:
                words = str(problem).splitlines()[0]
                return ReasonCode.ERR_COMPUTE_MEMORY_EXHAUSTED, f"the guest could not be started: {words}"

    def interrupt(self) -> None:
        """End the guest that runs now, from any thread; one that is only about to begin is not ended by it."""
        self._engine.increment_epoch()

    def _used(self, store: wasmtime.Store) -> int:
        return self._limits.fuel - int(store.get_fuel())

    def _answering(self, answer: Callable[..., int]) -> Callable[..., int]:
        def answered(caller: wasmtime.Caller, *parameters: int) -> int:
            memory = caller.get(MEMORY)
            if not isinstance(memory, wasmtime.Memory):
                return wasi.FAULT
            try:
                return answer(self._streams, Memory(memory, caller), *parameters)
            except wasi.OutOfBounds:
                return wasi.FAULT

        return answered


def name_of(trap: wasmtime.Trap) -> str:
    """Return a trap's name in words, "unknown" for one that wasmtime does not name."""
    code = trap.trap_code
    return "unknown" if code is None else code.name.lower().replace("_", " ")
