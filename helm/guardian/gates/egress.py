"""Gate 3: data leaves only to destinations the policy declares; deny-all unless declared, deny beats allow."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.destination import check_destination, normalise
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Fix the call's destination, normalised, and refuse one that is denied or not declared.

    Nothing to check for an undeclared tool (refused by the effect office), for a tool that reaches no network, and
    for arguments that did not parse or are no object (refused by the PEP).
    """
    rule = inquiry.rule
    if rule.destination is None:
        return
    if rule.destination.fixed:
        named = rule.destination.fixed
    else:
        arguments = inquiry.call.parsed
        if type(arguments) is not dict or rule.destination.argument not in arguments:
            return
        named = arguments[rule.destination.argument]
    if type(named) is not str:
        raise Refused(ReasonCode.DATA_EGRESS_BLOCKED, "the destination argument is not a string")
    destination = normalise(named)
    inquiry.destination = str(destination)  # a refusal too says where the call wanted to go
    denied = (*inquiry.world.policy.p0.denied_destinations, *rule.deny_destinations)
    check_destination(destination, allow=rule.allow_destinations, deny=denied)


GATE = Office("egress", check, ReasonCode.DATA_EGRESS_BLOCKED)
