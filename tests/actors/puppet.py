"""A connector that does what a test tells it to, and remembers every order it got."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable

import attrs
import trio

from actors.connectors.port import Dispatch
from helm.contracts.form import JSONValue

Deed = Callable[[Dispatch], JSONValue | Awaitable[JSONValue]]


def done(order: Dispatch) -> JSONValue:
    """Do what was asked, at once."""
    return {"n": 1}


@attrs.define(eq=False)
class Puppet:
    """The Connector port. `deed` happens for each order; `began` is set once `awaited` orders are under way."""

    deed: Deed = done
    orders: list[Dispatch] = attrs.field(factory=list)
    awaited: int = 1
    began: trio.Event = attrs.field(factory=trio.Event)
    closed: int = 0

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Remember the order, then do the deed."""
        self.orders.append(order)
        if len(self.orders) >= self.awaited:
            self.began.set()
        answer = self.deed(order)
        return await answer if isawaitable(answer) else answer

    async def aclose(self) -> None:
        """Count how often it was closed."""
        self.closed += 1


@attrs.define(eq=False)
class Hold:
    """A deed that lasts until it is let go."""

    answer: JSONValue = attrs.field(factory=lambda: {"n": 1})
    gate: trio.Event = attrs.field(factory=trio.Event)

    async def __call__(self, order: Dispatch) -> JSONValue:
        """Wait, then answer."""
        await self.gate.wait()
        return self.answer

    def let_go(self) -> None:
        """Let every held order end."""
        self.gate.set()


def raising(problem: BaseException) -> Deed:
    """Return a deed that raises `problem`."""

    def deed(order: Dispatch) -> JSONValue:
        raise problem

    return deed
