"""Gate 1: the program decides only in the environment it was started in, of calls that came as calls must come."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse when version, configuration, platform or data directory are not those of the boot, or are unknown.

    And refuse what its door found wrong with how the call came: no later office may find it right.
    """
    world = inquiry.world
    if not world.fingerprint or world.fingerprint != world.fingerprint_at_boot:
        raise Refused(
            ReasonCode.CONTEXT_MISMATCH,
            "the environment is not the one the kernel started in: restart it where it belongs",
        )
    fault = inquiry.call.context.fault
    if fault:
        raise Refused(ReasonCode(fault), inquiry.call.context.fault_reason)


GATE = Office("context", check, ReasonCode.CONTEXT_MISMATCH)
