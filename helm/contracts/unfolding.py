"""How much work the references of a schema can make: a little text must not take for ever (T4).

The engine remembers what it has asked inside a circle, so a circle costs one walk of the value. What it does
not remember are definitions that are reached along many ways without one; they double with each level.
"""

from __future__ import annotations

from collections.abc import Mapping

from helm.contracts.errors import Invalid

MAX_UNFOLDING = 100_000
"""Most schemas reached when every reference is followed from every schema. A protocol of a hundred types
stays below, and the engine asks that many in milliseconds."""

Edges = Mapping[str, tuple[str, ...]]
"""Which schemas each schema leads to, both by their pointers."""


def check_unfolding(same_value: Edges, parts: Edges, where: str) -> None:
    """Refuse references that circle around one value, or that multiply. Raises Invalid."""
    _, circular = leaves_first(same_value)
    if circular is not None:
        hint = "a schema that asks itself says nothing: refer to it from a property or an item"
        raise Invalid("the schema refers to itself about the same value", f"{where}#{circular}", hint)
    edges = {pointer: (*same_value[pointer], *parts[pointer]) for pointer in same_value}
    if sum(unfolded(edges).values()) > MAX_UNFOLDING:
        hint = "one definition is reached along very many ways: refer to it once, or split the tool"
        raise Invalid(f"the references unfold to more than {MAX_UNFOLDING} schemas", where, hint)


def unfolded(edges: Edges) -> dict[str, int]:
    """Return how many schemas each one reaches, counted once per way; a way ends where it closes a circle."""
    reached: dict[str, int] = {}
    for node in leaves_first(edges)[0]:
        reached[node] = 1 + sum(reached.get(child, 1) for child in edges[node])
    return reached


def leaves_first(edges: Edges) -> tuple[list[str], str | None]:
    """Return all nodes, each after what it leads to, and a node that lies on a circle if there is one.

    Without recursion: a chain of references may be longer than the stack is deep.
    """
    order: list[str] = []
    finished: dict[str, bool] = {}
    circular = None
    for start in edges:
        waiting = [start]
        while waiting:
            node = waiting[-1]
            if node in finished:
                waiting.pop()
                if not finished[node]:
                    finished[node] = True
                    order.append(node)
                continue
            finished[node] = False
            circular = next((child for child in edges[node] if finished.get(child) is False), circular)
            waiting.extend(child for child in edges[node] if child not in finished)
    return order, circular
