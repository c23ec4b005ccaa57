"""One run: every wanted vector at the server that it names, one after the other, before one counterpart."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from actors.client.exchange import NoAnswer
from actors.conforming.counterpart import Counterpart
from actors.conforming.driver import Driver, Restart
from actors.conforming.standing import subjects_of
from actors.conforming.target import Target
from actors.conforming.wire import Skipped, Unfit, Wire
from actors.policy_file import read_policy
from helm.conformance.judge import judge
from helm.conformance.result import FAILED, PASSED, SKIPPED, Result, is_silent, judged, unobserved
from helm.conformance.vector import Vector
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.policy import Policy

NO_RESTARTS: Final[Mapping[str, Restart]] = MappingProxyType({})

UNSEEN: Final = "dispatch: nothing reached the counterpart in the whole run, so that its silence proves nothing"

STOPPING: Final = frozenset({"crash", "freeze", "move_house"})
"""Steps after which nobody is served until they are undone."""

STOPS: Final = "it stops the server that is tested: say that it may, --allow-stops"

Told = Callable[[Result], None]


@attrs.define(eq=False, kw_only=True)
class Run:
    """What is tested, and what has been seen so far."""

    target: Target
    service: Counterpart
    restarts: Mapping[str, Restart] = NO_RESTARTS
    is_own: bool = False
    """Whether the servers were started for this run alone."""
    may_stop: bool = False
    """Whether servers that were not may be stopped as well: frozen, moved, killed."""
    name: str = attrs.field(factory=lambda: secrets.token_hex(4))
    wires: dict[str, Wire] = attrs.field(factory=dict, init=False)
    policies: dict[str, Policy] = attrs.field(factory=dict, init=False)
    subjects: Mapping[str, dict[str, JSONValue]] = attrs.field(factory=dict, init=False)
    """How each server stood after the last vector."""
    deeds: int = attrs.field(default=0, init=False)
    """How much of what reached the counterpart belongs to a vector."""

    def run(self, vectors: Iterable[Vector], tell: Told) -> tuple[Result, ...]:
        """Return one result for each vector, in their order; tell of each as it is done."""
        results: list[Result] = []
        self.wires = {}
        with ExitStack() as stack:
            for vector in vectors:
                results.append(self.one(vector, stack))
                tell(results[-1])
            self.subjects = subjects_of(self.wires, is_own=self.is_own)
        return self.with_silence_weighed(results)

    def one(self, vector: Vector, stack: ExitStack) -> Result:
        """Return what became of one vector. Whatever the server did is a result, and no error of ours."""
        if vector.inside:
            return unobserved(vector)
        if vector.server not in self.target.servers:
            return Result(vector=vector, outcome=SKIPPED, why=f"the target names no server {vector.server!r}")
        if not (self.is_own or self.may_stop) and any(step.do in STOPPING for step in vector.trigger):
            return Result(vector=vector, outcome=SKIPPED, why=STOPS)
        server = self.target.servers[vector.server]
        wire = self.wires.setdefault(vector.server, Wire(server, stack))
        driver = Driver(
            vector=vector,
            wire=wire,
            service=self.service,
            run=self.name,
            policy=self.policy_of(vector.server),
            restart=self.restarts.get(vector.server),
        )
        before = len(self.service.deeds)
        try:
            seen = driver.drive()
        except Skipped as missing:
            return Result(vector=vector, outcome=SKIPPED, why=str(missing))
        except (Unfit, NoAnswer, Invalid) as problem:
            return Result(vector=vector, outcome=FAILED, why=f"{type(problem).__name__}: {problem}")
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            why = f"an answer without what it should hold: {type(problem).__name__} {problem}"
            return Result(vector=vector, outcome=FAILED, why=why)
        finally:
            self.deeds += len(self.service.deeds) - before
        return judged(vector, seen, (*judge(vector, seen, server.root), *driver.checks))

    def policy_of(self, name: str) -> Policy | None:
        """Return the policy that a server is served with, None where the target names none. Raises Invalid."""
        file = self.target.servers[name].policy
        if file and name not in self.policies:
            self.policies[name] = read_policy(Path(file))
        return self.policies.get(name)

    @property
    def strays(self) -> int:
        """How often the counterpart was reached when no vector was under way: late, or by somebody else."""
        return len(self.service.deeds) - self.deeds

    def with_silence_weighed(self, results: list[Result]) -> tuple[Result, ...]:
        """Return the results; where nothing at all reached the counterpart, its silence counts for nothing."""
        if any(one.outcome == PASSED and one.vector.deeds for one in results):
            return tuple(results)
        return tuple(attrs.evolve(one, outcome=FAILED, why=UNSEEN) if is_silent(one) else one for one in results)
