"""The sandbox's port: one guest, one answer, or the stable code of what ended it."""

from __future__ import annotations

from typing import Protocol

from helm.contracts.form import Noun
from helm.contracts.reason import ReasonCode


class Guest(Noun, frozen=True):
    """One run of untrusted code: what it reads on its standard input."""

    arguments: bytes


class Answered(Noun, frozen=True):
    """What a guest wrote on its standard output before it ended well, and the fuel that took."""

    output: bytes
    fuel_used: int


class GuestEnded(Exception):
    """The guest was ended, or ended itself, without an answer: why, by its stable code, and the fuel until then.

    A guest touches nothing outside, so nothing has happened.
    """

    def __init__(self, code: ReasonCode, reason: str, fuel_used: int = 0) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.fuel_used = fuel_used


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

    def interrupt(self) -> None:
        """End the guest that runs now, from any thread; it is ended within about a millisecond."""
        ...
