"""`except Exception` stands around a gate, around a connector, around one client, and nowhere else.

The last place holds a group only until it can be raised again, bare.
"""

from collections import Counter
from typing import Final

import pytest

from tests.gates.except_rules import aliases, broad_handlers
from tests.gates.source import from_text, sources_under

PLACES: Final[dict[str, str]] = {
    "helm.guardian.chain:Chain.find": "a gate that raises is a DENY",
    "actors.executor:Executor.effect": "a connector that raises is a FAILED call, not a failed kernel",
    "actors.executor:Executor.let_go": "a connector that cannot be closed is not used any more either way",
    "actors.executor:Executor._accept": "an answer that cannot be checked, because its tool still changes it, is drift",
    "actors.connectors.mcp:McpConnector.attend": "whatever a server makes the SDK raise, it is started again",
    "actors.connectors.mcp:McpConnector._exchange": "what the SDK raises once it has asked leaves the effect open",
    "actors.connectors.wasm:Visit._work": "what ends a guest is its outcome: raised in the task that waits for it",
    "helm.runtime.sandbox.cell:Cell._answering.answered": "nothing passes through machine code: it is raised behind it",
    "actors.connectors.opa:OpaClient.ask": "whatever a decision point makes the transport raise, it has not answered",
    "actors.doors.alone:alone": "a fault in one client's connection ends that connection, and nobody else's",
    "actors.doors.alone:known": "a client that cannot be looked up again is known no more: its tunnel is cut",
    "actors.opening:_running": "nested nurseries wrap what the body raised; it is unwrapped and raised again",
}

POISONS: Final = {
    "except Exception": "try: f()\nexcept Exception: pass",
    "a bare except": "try: f()\nexcept: pass",
    "except BaseException": "try: f()\nexcept BaseException as e: log(e)",
    "one of several": "try: f()\nexcept (OSError, Exception): pass",
    "through builtins": "try: f()\nexcept builtins.Exception: pass",
    "a group": "try: f()\nexcept* Exception: pass",
    "a whole group": "try: f()\nexcept BaseExceptionGroup as group: keep(group)",
    "suppress": "with contextlib.suppress(Exception): f()",
    "a bug renamed as the world's fault": "try: f()\nexcept Exception as e: raise Refused() from e",
    "a raise on one path only": ("for x in y:\n try: f()\n except Exception:\n  if x: continue\n  raise"),
    "a return before the raise": "def g():\n try: f()\n except Exception:\n  if x: return\n  raise",
}

CLEAN: Final = {
    "a named exception": "try: f()\nexcept (OSError, ValueError): pass",
    "one that goes on": "try: f()\nexcept BaseException as e:\n    note(e)\n    raise",
    "suppress of a named one": "with suppress(FileNotFoundError): f()",
    "a class of our own": "class Broken(Exception): ...",
    "a hint": "def f(error: BaseException) -> None: ...",
}


@pytest.mark.parametrize("text", POISONS.values(), ids=POISONS)
def test_the_gate_refuses(text: str) -> None:
    assert list(broad_handlers(from_text("actors.snippet", text)))


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_the_gate_lets_in(text: str) -> None:
    source = from_text("actors.snippet", text)
    assert [*broad_handlers(source), *aliases(source)] == []


@pytest.mark.parametrize("text", ["Any = Exception", "errors = (OSError, BaseException)"])
def test_a_broad_exception_under_another_name_is_seen(text: str) -> None:
    assert list(aliases(from_text("actors.snippet", text)))


def test_a_handler_is_placed_by_class_and_function() -> None:
    text = "class A:\n    def f(self):\n        try: g()\n        except Exception: pass"
    (place,) = broad_handlers(from_text("actors.snippet", text))
    assert (place.where, place.line) == ("actors.snippet:A.f", 4)


def test_broad_handlers_stand_in_exactly_the_listed_places() -> None:
    sources = [*sources_under("helm"), *sources_under("actors")]
    places = Counter(place.where for source in sources for place in broad_handlers(source))
    assert places == Counter(PLACES.keys())
    assert [str(finding) for source in sources for finding in aliases(source)] == []
