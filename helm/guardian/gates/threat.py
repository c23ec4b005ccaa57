"""Gate 4: untrusted text is scanned, and tainted sessions keep away from what could hurt (T1, T2)."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import EffectType, RiskTier
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.policy import ToolRule
from helm.guardian.threat import scan_arguments, scan_text


def check(inquiry: Inquiry) -> None:
    """Refuse obfuscated or injecting text, and a tainted call of a tool that does not accept taint.

    Nothing to scan in arguments that did not parse: they are refused by the PEP and never dispatched.
    """
    call, rule = inquiry.call, inquiry.rule
    for text in call.context.texts:
        scan_text(text)
    if not call.malformed:
        scan_arguments(call.arguments, call.parsed, rule.free_text)
    if (call.context.labels or inquiry.world.session_labels) and not rule.accepts_tainted:
        _check_tainted(rule)


def _check_tainted(rule: ToolRule) -> None:
    if rule.credential or rule.effect_type == EffectType.CREDENTIAL:
        raise Refused(ReasonCode.TAINTED_CREDENTIAL_ACCESS_DENY, "a tainted session may not use credentials")
    if rule.destination is not None and rule.effect_type != EffectType.READ:
        raise Refused(ReasonCode.TAINTED_DATA_EGRESS_DENY, "a tainted session may not send data out")
    if rule.risk_tier == RiskTier.T3:
        raise Refused(ReasonCode.TAINTED_INPUT_HIGH_RISK_DENY, "tainted input may not reach a T3 tool")


GATE = Office("threat", check, ReasonCode.PROMPT_INJECTION_DETECTED)
