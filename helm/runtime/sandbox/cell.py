"""A cell: one compiled module in an engine of its own, run again and again, each time from its beginning.

A run goes through wasmtime's C interface, as the library binds it. The library's own way would carry what a function of
WASI raises in one variable of the whole process, where the end of one guest can become that of another in the next
thread; and it looks at every type again in every call. Here an end belongs to its run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import attrs
import wasmtime
from wasmtime import _ffi as c

from helm.contracts.errors import Broken
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxLimits
from helm.runtime.sandbox import traps, wasi
from helm.runtime.sandbox.guest import ENTRY, MEMORY, engine, signature
from helm.runtime.sandbox.port import NOTHING, Answered, Guest, GuestEnded, Stop
from helm.runtime.sandbox.wasi_files import answer_of

MAX_TABLE_ELEMENTS = 65_536
MAX_TABLES = 4

ENDED = b"ended by its host"
"""What a trap of ours says; nobody reads it."""

_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()
_TRAP = ctypes.POINTER(c.wasm_trap_t)
_NOTHING = (c.wasmtime_val_raw_t * 1)()
_ENTRY, _MEMORY = ENTRY.encode(), MEMORY.encode()


@attrs.define
class Run:
    """One run: where it is, what is around it, and what of ours ended it."""

    context: Any
    room: wasi.Room
    memory: Any = None
    """Known once the guest is there, or asks for something, whichever is first."""
    end: BaseException | None = None

    def size(self) -> int:
        """Return the bytes of the guest's memory at this moment, 0 where it has none yet."""
        if self.memory is None:
            return 0
        size: int = c.wasmtime_memory_data_size(self.context, ctypes.byref(self.memory))
        return size

    def trap(self, told: str) -> str:
        """Return the name of the trap that ended the run, as the library told it or as it was ours, "" for none."""
        if self.end is None:
            return told
        return traps.OUTPUT_EXHAUSTED if isinstance(self.end, wasi.OutputExhausted) else ""


NO_RUN = Run(None, wasi.Room(wasi.Streams(b"", 0), NOTHING))
"""What a cell is in between two guests."""


@attrs.frozen
class Memory:
    """A guest's linear memory for one call of WASI, in which it cannot grow. Every access is checked."""

    address: int
    length: int

    def read(self, start: int, size: int) -> bytes:
        """Return so many bytes. Raises OutOfBounds."""
        return ctypes.string_at(self._checked(start, size), size)

    def write(self, start: int, data: bytes) -> None:
        """Put bytes down. Raises OutOfBounds."""
        ctypes.memmove(self._checked(start, len(data)), data, len(data))

    def _checked(self, start: int, size: int) -> int:
        begin = start & 0xFFFF_FFFF  # a guest's numbers have no sign; the library reads them as if they had
        if size < 0 or begin + size > self.length:
            raise wasi.OutOfBounds
        return self.address + begin


class Cell:
    """One module that is ready to run. Interrupting it interrupts nobody else; one guest at a time is in it."""

    def __init__(self, code: bytes, limits: SandboxLimits) -> None:
        self._limits = limits
        self._engine = engine(limits)
        module = wasmtime.Module.deserialize(self._engine, code)
        self._linker = wasmtime.Linker(self._engine)
        self._run = NO_RUN
        self._store: Any = None
        self._callbacks = [self._define(name) for name in {wanted.name or "" for wanted in module.imports}]
        self._ready = self._linker.instantiate_pre(module)

    def run(self, guest: Guest, stop: Stop) -> Answered:
        """Return the guest's answer. Raises GuestEnded. Nothing of the guest outlives the call."""
        try:
            return self.answer(guest, stop)
        finally:
            self.clear()

    def answer(self, guest: Guest, stop: Stop) -> Answered:
        """Return the guest's answer. Raises GuestEnded. The guest has ended, and its memory is there until `clear`."""
        self.clear()
        limits = self._limits
        room = wasi.Room(wasi.Streams(guest.arguments, limits.output_bytes), guest.surroundings)
        store = self._store = c.wasmtime_store_new(self._engine.ptr(), None, _NO_FINALIZER)
        try:
            context = c.wasmtime_store_context(store)
            self._run = run = Run(context, room.furnish())
            c.wasmtime_store_limiter(store, limits.memory_bytes, MAX_TABLE_ELEMENTS, 1, MAX_TABLES, 1)
            c.wasmtime_context_set_fuel(context, limits.fuel)
            c.wasmtime_context_set_epoch_deadline(context, 1)
            if stop.is_asked:  # whoever asks later finds the deadline set, and the guest meets it
                what = "the guest was never started"
                raise GuestEnded(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, what, trap=traps.INTERRUPT)
            trap, error = self._enter(run)
            ended, used = self._why(run, trap, error), self._used(run)
            output = b"" if ended is not None else b"".join(room.streams.output)
        finally:
            self._run = NO_RUN
            room.clear()
        if ended is not None:
            named = run.trap(trap)
            raise GuestEnded(*ended, fuel_used=used, has_written=room.has_written, trap=named) from run.end
        return Answered(output, used, room.has_written)

    def clear(self) -> None:
        """Let go of the last guest's store, instance and memory."""
        store, self._store = self._store, None
        if store is not None:
            c.wasmtime_store_delete(store)

    def interrupt(self) -> None:
        """End the guest that runs now, from any thread; one that has not begun is ended by its Stop."""
        self._engine.increment_epoch()

    def _enter(self, run: Run) -> tuple[str, str]:
        """Run the guest to its end; return the trap's name and the library's error, "" for none of it."""
        instance, trap = c.wasmtime_instance_t(), no_trap()
        told = ctypes.byref(trap)
        error: Any = c.wasmtime_instance_pre_instantiate(self._ready.ptr(), run.context, ctypes.byref(instance), told)
        if error or trap:
            return name_of(trap), words_of(error)
        run.memory = self._exported(run, instance, _MEMORY).of.memory
        item = self._exported(run, instance, _ENTRY)
        error = c.wasmtime_func_call_unchecked(run.context, ctypes.byref(item.of.func), _NOTHING, 0, told)
        return name_of(trap), words_of(error)

    def _exported(self, run: Run, instance: Any, name: bytes) -> Any:
        item = c.wasmtime_extern_t()
        if not c.wasmtime_instance_export_get(run.context, ctypes.byref(instance), name, len(name), ctypes.byref(item)):
            raise Broken("what was checked when the module was compiled is another one now")
        return item

    def _why(self, run: Run, trap: str, error: str) -> tuple[ReasonCode, str] | None:
        """Return the code and the words for what ended the guest, None where it ended itself, and well."""
        limits = self._limits
        match run.end:
            case wasi.Exit(code=0):
                return None
            case wasi.Exit() as left:
                return ReasonCode.ERR_CONNECTOR_ERROR, f"the guest ended with {left}"
            case wasi.OutputExhausted():
                return ReasonCode.ERR_COMPUTE_OUTPUT_EXHAUSTED, f"the guest wrote more than {limits.output_bytes} bytes"
            case None if trap:
                return traps.code_of(trap, run.size(), limits.memory_bytes)
            case None if error:
                return ReasonCode.ERR_COMPUTE_MEMORY_EXHAUSTED, f"the guest could not be started: {error}"
            case None:
                return None
            case other:
                raise other

    def _used(self, run: Run) -> int:
        left = ctypes.c_uint64()
        c.wasmtime_context_get_fuel(run.context, ctypes.byref(left))
        return self._limits.fuel - left.value

    def _define(self, name: str) -> object:
        """Put one function of WASI before the module; what is returned must live as long as the linker."""
        callback = c.wasmtime_func_unchecked_callback_t(self._answering(name))
        kind = signature(name)  # lives until it is copied
        error: Any = c.wasmtime_linker_define_func_unchecked(
            self._linker.ptr(),
            *(wasi.WASI.encode(), len(wasi.WASI)),
            *(name.encode(), len(name)),
            *(kind.ptr(), callback, None, _NO_FINALIZER),
        )
        if error:
            raise Broken(f"{name} cannot be defined: {words_of(error)}")
        return callback

    def _answering(self, name: str) -> Callable[..., int]:
        """Return a function as the library calls it: parameters in an array, the error into its first place."""
        answer = answer_of(name)
        is_wide = [letter == "I" for letter in wasi.SIGNATURES[name]]

        def answered(_: object, caller: Any, values: Any, __: int) -> int:
            run = self._run
            try:
                parameters = [values[at].i64 if wide else values[at].i32 for at, wide in enumerate(is_wide)]
                values[0].i32 = in_memory(answer, run, caller, parameters)
            except BaseException as end:  # nothing may pass through machine code: it is kept, and told behind it
                run.end = end.with_traceback(None)  # it would hold this frame, and with it all that was written
                return trap_of_ours()
            return 0

        return answered


def in_memory(answer: Callable[..., int], run: Run, caller: Any, parameters: list[int]) -> int:
    """Return what one function of WASI answers to the guest that calls."""
    memory = run.memory
    if memory is None:  # its start function asks, before anything of it is exported
        item = c.wasmtime_extern_t()
        c.wasmtime_caller_export_get(caller, _MEMORY, len(_MEMORY), ctypes.byref(item))
        run.memory = memory = item.of.memory
    at = ctypes.byref(memory)
    first: Any = c.wasmtime_memory_data(run.context, at)
    address = ctypes.addressof(first.contents) if first else 0
    try:
        return answer(run.room, Memory(address, c.wasmtime_memory_data_size(run.context, at)), *parameters)
    except wasi.OutOfBounds:
        return wasi.FAULT


def trap_of_ours() -> int:
    """Return a trap that ends the guest, as the library takes it from a function of ours."""
    return ctypes.cast(c.wasmtime_trap_new(ENDED, len(ENDED)), ctypes.c_void_p).value or 0


def no_trap() -> Any:
    """Return a place for a trap, empty."""
    return _TRAP()


def name_of(trap: Any) -> str:
    """Return a trap's name in words, "unknown" for one that wasmtime does not name, "" for none."""
    if not trap:
        return ""
    code = ctypes.c_uint8()
    is_named = c.wasmtime_trap_code(trap, ctypes.byref(code))
    c.wasm_trap_delete(trap)
    return wasmtime.TrapCode(code.value).name.lower().replace("_", " ") if is_named else "unknown"


def words_of(error: Any) -> str:
    """Return what the library says of an error, "" for none."""
    return str(wasmtime.WasmtimeError._from_ptr(error)).splitlines()[0] if error else ""
