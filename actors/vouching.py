"""The permit that travels: signed for a tool server that asks for it, and never on the loop's time."""

from __future__ import annotations

from functools import partial

from actors.connectors.port import NotDispatched
from actors.keys.hsm import TokenLost, sign_aside
from helm.contracts.effect import Permit
from helm.contracts.reason import ReasonCode
from helm.crypto.ed25519 import Signer
from helm.executor.outbound import shown


async def vouch(permit: Permit, operation: str, *, log_id: str, pen: Signer) -> bytes:
    """Return a permit as it travels to a tool server (T1, T6). Raises NotDispatched where the pen does not sign."""
    try:
        return await sign_aside(pen, partial(shown, permit, operation, log_id, pen))
    except TokenLost as problem:
        raise NotDispatched(ReasonCode.PROVENANCE_FAILURE, f"no permit could be signed: {problem}") from problem
