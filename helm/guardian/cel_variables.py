"""What an expression may speak of, by name: where each variable stands in an inquiry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from helm.guardian.cel_grammar import Needs

if TYPE_CHECKING:
    from helm.guardian.inquiry import Inquiry

LOOKS: Final[Mapping[str, Callable[[Inquiry], Any]]] = MappingProxyType(
    {
        "args": lambda inquiry: inquiry.call.parsed,
        "tool": lambda inquiry: inquiry.call.tool,
        "principal": lambda inquiry: inquiry.call.principal,
        "tenant": lambda inquiry: inquiry.call.tenant,
        "session": lambda inquiry: inquiry.call.session_id,
        "now_ms": lambda inquiry: inquiry.world.now_ms,
        "destination": lambda inquiry: inquiry.destination,
        "labels": lambda inquiry: [*inquiry.call.context.labels, *inquiry.world.session_labels],
        "effect_type": lambda inquiry: inquiry.rule.effect_type,
        "risk_tier": lambda inquiry: inquiry.rule.stated_tier,
    }
)


def cel_variables(inquiry: Inquiry, needs: Needs) -> dict[str, Any]:
    """Return what the expressions speak of, by name: the rest is not even looked up."""
    return {name: LOOKS[name](inquiry) for name in needs.variables}
