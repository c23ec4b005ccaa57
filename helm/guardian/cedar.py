"""The one door to Cedar: policies, schema and entities, compiled once, permit a call, forbid it, or cannot say.

The engine is asked through handles that were parsed and validated when the bundle was loaded. Its parser goes as deep
as the text does and ends the process where the stack ends, so no text reaches it before its nesting is bounded here.
A panic inside it is no Exception: it passes every gate and ends the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from helm.contracts.dialect import shown
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, parse
from helm.guardian.cedar_text import (
    MAX_NESTING,
    MAX_TEXT_BYTES,
    check_length,
    check_policies,
    check_schema,
    matching_bytes,
)

MAX_CONTEXT_BYTES: Final = 32 * 1024
"""What one call puts before the engine: it is copied, and checked against the schema (T4)."""

MAX_DEPTH: Final = 72
"""Arguments of depth 64, and a little around them (T4)."""

MAX_MATCHING: Final = 16 * 1024 * 1024
"""Bytes of all `like` patterns times bytes of the context: matching takes their product, here some 20 ms (T4)."""

CALL_TYPE: Final = """
type HelmCall = {
  args_hash: String, delegation_id: String, delegator: String, destination: String, effect_type: String,
  irreversible: Bool, labels: Set<String>, log_id: String, policy_epoch: Long, policy_hash: String,
  principal: String, risk_tier: String, session_id: String, spend_cents: Long, tenant: String, tool: String,
  trust: String, version: String,
};
"""
"""What every call says of itself: appended to the schema of each point, for `context: { call: HelmCall, ... }`."""

PRINCIPAL, ACTION, TOOL = "Principal", "Action", "Tool"
"""The entity types that a call is spoken of in; the action is named like the tool."""

ESCAPES: Final = frozenset({"__entity", "__expr", "__extn"})
"""Members by which Cedar's JSON names entities and calls functions: no caller's argument may speak of those (T8)."""


class CedarError(Exception):
    """A call of which the policies say nothing that holds. The reason never repeats an argument's value."""


@attrs.frozen(kw_only=True, eq=False)
class CedarProgram:
    """One compiled set of policies. The handles are the engine's own."""

    matching_bytes: int
    _ask: Callable[..., Any] = attrs.field(repr=False)
    _validate: Callable[..., Any] = attrs.field(repr=False)
    _policies: Any = attrs.field(repr=False)
    _entities: Any = attrs.field(repr=False)
    _schema: Any = attrs.field(repr=False)

    @classmethod
    def compile(cls, texts: Mapping[str, str], places: Mapping[str, str]) -> CedarProgram:
        """Compile `policies`, `schema` and `entities`; `places` names each in complaints. Raises Invalid."""
        import cedarpy  # here: most bundles hold no Cedar, and it takes as long to load as all the rest

        check_policies(texts["policies"], places["policies"])
        check_schema(texts["schema"], places["schema"])
        check_length(texts["entities"], places["entities"])
        schema = compiled(cedarpy.Schema.from_str, texts["schema"] + CALL_TYPE, places["schema"])
        policies = compiled(cedarpy.PolicySet.from_str, texts["policies"], places["policies"])
        if len(policies) == 0 or policies.templates():
            raise Invalid("no policies, or templates among them", places["policies"], "write at least one, whole")
        check_valid(cedarpy.validate_policies(texts["policies"], schema), places["policies"])
        entities = read_entities(texts["entities"], places["entities"])
        known = compiled(lambda text: cedarpy.Entities.from_json_str(text, schema), entities, places["entities"])
        return cls(
            matching_bytes=matching_bytes(texts["policies"]),
            ask=cedarpy.is_authorized,
            validate=cedarpy.validate_policies,
            policies=policies,
            entities=known,
            schema=schema,
        )

    def check_describes(self, tool: str, where: str) -> None:
        """Raise Invalid unless the schema knows calls of this tool as they are put before the engine."""
        probe = (
            f"permit(principal is {PRINCIPAL}, action == {ACTION}::{quoted(tool)}, resource is {TOOL}) "
            'when { context.call.tool like "*" && context.arguments == context.arguments };'
        )
        found = self._validate(probe, self._schema)
        if not found.validation_passed:
            hint = (
                f'declare action "{tool}" appliesTo {{ principal: {PRINCIPAL}, resource: {TOOL}, '
                "context: { call: HelmCall, arguments: {...} } };"
            )
            raise Invalid(f"the Cedar schema describes no call of {tool}", where, hint)

    def permits(self, call: dict[str, JSONValue], arguments: dict[str, JSONValue]) -> tuple[bool, str]:
        """Return whether the policies permit a call, and which ones said so. Raises CedarError where they cannot."""
        check_arguments(arguments)
        context = canonical({"arguments": arguments, "call": call}, max_depth=MAX_DEPTH)
        if len(context) > MAX_CONTEXT_BYTES or len(context) * self.matching_bytes > MAX_MATCHING:
            raise CedarError("the call is too long for these policies: show them fewer arguments")
        request = {
            "principal": {"type": PRINCIPAL, "id": call["principal"]},
            "action": {"type": ACTION, "id": call["tool"]},
            "resource": {"type": TOOL, "id": call["tool"]},
            "context": context.decode(),
        }
        found = self._ask(request, self._policies, self._entities, schema=self._schema)
        return read_answer(found)


def read_answer(found: Any) -> tuple[bool, str]:
    """Return what the engine found. An error in any policy is no answer: a forbid that failed would not forbid."""
    words = found.decision.name
    if words == "NoDecision":
        raise CedarError("the call does not fit the Cedar schema")
    if found.diagnostics.errors:
        raise CedarError(f"{len(found.diagnostics.errors)} of the policies cannot be evaluated")
    named = found.diagnostics.id_annotations_by_reason
    reasons = ", ".join(sorted(shown(named.get(one) or one) for one in found.diagnostics.reasons))
    if words == "Allow":
        return True, reasons
    if words == "Deny":
        return False, reasons
    raise CedarError("the engine gives an answer that is none")


def check_arguments(arguments: JSONValue) -> None:
    """Raise CedarError for an argument that the engine would read as more than a value."""
    seen = [arguments]
    for value in seen:  # it grows while it is walked through
        if type(value) is dict:
            if not ESCAPES.isdisjoint(value):
                raise CedarError("an argument speaks of entities or functions")
            seen += value.values()
        elif type(value) is list:
            seen += value


def read_entities(text: str, where: str) -> str:
    """Return the entities in canonical JSON. Raises Invalid for what is not exact JSON."""
    try:
        entities = parse(text.encode(), max_bytes=MAX_TEXT_BYTES, max_depth=MAX_NESTING)
    except Malformed as problem:
        raise Invalid(
            f"no exact JSON: {problem.problem}", where, "a list of entities, as Cedar writes them"
        ) from problem
    if type(entities) is not list:
        raise Invalid("no list of entities", where, 'write "[]" for none')
    return canonical(entities).decode()


def compiled(compiler: Any, text: str, where: str) -> Any:
    """Return what the engine makes of a text. Raises Invalid with its complaint."""
    try:
        return compiler(text)
    except ValueError as problem:
        raise Invalid(f"broken Cedar: {said(str(problem))}", where, "see the Cedar language reference") from problem


def check_valid(found: Any, where: str) -> None:
    """Refuse policies that the schema does not bear out. Raises Invalid."""
    if not found.validation_passed:
        complaint = said("; ".join(error.error for error in found.errors[:3]))
        raise Invalid(
            f"the policies do not fit their schema: {complaint}", where, "the schema declares what may be named"
        )


def said(complaint: str) -> str:
    """Return the engine's complaint about its author's own text, on one line and cut."""
    return " ".join(complaint.split())[:300]


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
