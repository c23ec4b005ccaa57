"""Gate 0: a frozen system, a fenced tenant or a killed agent does nothing; this overrides everything else."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office

_WHY = {
    ReasonCode.SYSTEM_FROZEN: "the system is frozen",
    ReasonCode.EMERGENCY_STOP_FENCED: "the tenant is fenced by an emergency stop",
    ReasonCode.AGENT_KILLED: "the agent is killed",
}


def check(inquiry: Inquiry) -> None:
    """Refuse while any freeze covers the call."""
    if inquiry.world.frozen:
        code = ReasonCode(inquiry.world.frozen)
        raise Refused(code, f"{_WHY[code]}: an operator must lift it with a signed command")


GATE = Office("freeze", check, ReasonCode.SYSTEM_FROZEN)
