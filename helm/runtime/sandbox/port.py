"""The sandbox's port: one guest, one answer, or the stable code of what ended it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from helm.contracts.form import Noun
from helm.contracts.reason import ReasonCode


class Denied(Exception):
    """What a guest asked of a folder is not done: why, as WASI preview 1 numbers its errors."""

    def __init__(self, error: int) -> None:
        super().__init__(f"error {error}")
        self.error = error


class Seen(Noun, frozen=True):
    """What a guest may know of a file or a folder."""

    is_folder: bool
    size: int
    accessed_ns: int
    modified_ns: int
    changed_ns: int
    """The three are 0 where the guest has no real clock."""


class Handle(Protocol):
    """An open file or folder. Every method raises Denied."""

    is_folder: bool
    is_writable: bool

    def look(self) -> Seen:
        """Return what it is."""
        ...

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of a file, b"" at its end."""
        ...

    def write(self, at: int, data: bytes) -> None:
        """Put bytes into a file."""
        ...

    def resize(self, size: int) -> None:
        """Cut a file off, or lengthen it."""
        ...

    def entries(self) -> tuple[tuple[str, bool], ...]:
        """Return the names in a folder, sorted, and which of them are folders."""
        ...

    def open(self, names: tuple[str, ...], wanted: Opening) -> Handle:
        """Open what lies below a folder, following no link."""
        ...

    def look_at(self, names: tuple[str, ...]) -> Seen:
        """Return what lies below a folder."""
        ...

    def make(self, names: tuple[str, ...]) -> None:
        """Make a folder below this one."""
        ...

    def remove(self, names: tuple[str, ...], *, is_folder: bool) -> None:
        """Remove a file, or an empty folder, below this one."""
        ...

    def rename(self, names: tuple[str, ...], target: Handle, new_names: tuple[str, ...]) -> None:
        """Move what lies below this folder below another one."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Opening(Noun, frozen=True):
    """How something is to be opened."""

    creates: bool
    is_exclusive: bool
    is_folder: bool
    truncates: bool
    writes: bool


class Surroundings(Noun, frozen=True, kw_only=True):
    """Whatever a guest is given beside its arguments; what is not in here it does not have."""

    clock: Callable[[int], int] | None
    """Nanoseconds of one of WASI's clocks."""
    environment: tuple[bytes, ...]
    """NAME=value each."""
    folders: tuple[tuple[str, Handle], ...]
    """By the guest's name for each."""
    open_files: int
    random: Callable[[int], bytes] | None
    """So many random bytes."""


NOTHING = Surroundings(clock=None, environment=(), folders=(), open_files=0, random=None)


class Guest(Noun, frozen=True):
    """One run of untrusted code: what it reads on its standard input, and what else it finds."""

    arguments: bytes
    surroundings: Surroundings = NOTHING


class Answered(Noun, frozen=True):
    """What a guest wrote on its standard output before it ended well, and the fuel that took."""

    output: bytes
    fuel_used: int
    has_written: bool = False
    """Whether it has changed anything in a folder."""


class GuestEnded(Exception):
    """The guest was ended, or ended itself, without an answer: why, by its stable code, and the fuel until then.

    One that has not written into a folder has touched nothing outside, so nothing has happened.
    """

    def __init__(
        self, code: ReasonCode, reason: str, *, fuel_used: int = 0, has_written: bool = False, trap: str = ""
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.fuel_used = fuel_used
        self.has_written = has_written
        self.trap = trap
        """Its name, "" where the guest ended itself."""


class Stop(Protocol):
    """Whether somebody wants a guest to end. It is asked before the guest begins; later it must be interrupted."""

    @property
    def is_asked(self) -> bool:
        """Tell whether the guest must not begin any more."""
        ...


class Sandbox(Protocol):
    """Whatever runs guests of one module inside the limits of one grant, one at a time, in the thread that calls it."""

    def run(self, guest: Guest, stop: Stop) -> Answered:
        """Return the guest's answer. Raises GuestEnded. Nothing of the guest outlives the call."""
        ...

    def answer(self, guest: Guest, stop: Stop) -> Answered:
        """Return the guest's answer like `run`. What it leaves is there, and nobody's, until `clear`."""
        ...

    def clear(self) -> None:
        """Let go of what the last guest left, in the thread that called for it."""
        ...

    def interrupt(self) -> None:
        """End the guest that runs now, from any thread; it is ended within about a millisecond."""
        ...
