"""`helm` with one gate broken on purpose: python -m tests.journeys.broken_gate OFFICE COMMAND...

The office looks as it always does and refuses nothing. This is what a conformance run must find out from outside.
"""

from __future__ import annotations

import sys
from typing import Any

import attrs

import actors.executor
import actors.guardian
from actors.cli.main import main
from helm.contracts.errors import Refused
from helm.contracts.form import JSONValue
from helm.contracts.schema import Schema
from helm.crypto.canonical import canonical
from helm.crypto.hashing import sha256
from helm.guardian.chain import CHAIN, Chain
from helm.guardian.inquiry import Inquiry, Office

DRIFT = "drift"
"""No office: the last look at an answer."""


def broken(office: Office) -> Office:
    """Return an office of the same name that lets everything pass."""

    def check(inquiry: Inquiry) -> None:
        try:
            office.check(inquiry)
        except Refused:
            return

    return attrs.evolve(office, check=check)


def unchecked(output: JSONValue, _: Schema) -> tuple[bytes, str]:
    """Pass any answer on."""
    written = canonical(output)
    return written, sha256(written)


def break_gate(name: str) -> None:
    """Break one office of this process. Raises ValueError where there is none of this name."""
    if name == DRIFT:
        put(actors.executor, check_output=unchecked)
        return
    names = [office.name for office in CHAIN.roster]
    roster = list(CHAIN.roster)
    roster[names.index(name)] = broken(roster[names.index(name)])
    put(actors.guardian, CHAIN=Chain(tuple(roster)))


def put(module: Any, **members: Any) -> None:
    """Put something in the place of what a module has under this name."""
    for name, member in members.items():
        if name not in vars(module):
            raise ValueError(f"{module.__name__} has no {name}")
        setattr(module, name, member)


if __name__ == "__main__":
    break_gate(sys.argv.pop(1))
    main()
