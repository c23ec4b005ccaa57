"""A kernel of a command's own that decides and does nothing: nobody stands behind its connectors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from actors.policy_file import read_signed

if TYPE_CHECKING:
    from actors.installation import Installation
    from actors.kernel import Kernel
    from actors.keys.bearer import BearerKey
    from actors.opening import Ground


@attrs.frozen
class Nobody:
    """In the place of every connector: what is only decided starts no program, and reaches nobody."""

    async def dispatch(self, _: Any, /) -> NoReturn:
        """Refuse."""
        from actors.connectors.port import NotDispatched
        from helm.contracts.reason import ReasonCode

        raise NotDispatched(ReasonCode.EVALUATED_ONLY, "only a decision was asked for")

    async def aclose(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def deciding_kernel(place: Installation, ground: Ground | None = None) -> AsyncIterator[Kernel]:
    """Run a kernel with the policy of a data directory. Raises Invalid where one runs there already.

    `ground` is that of the directory, where whoever asks has locked it already.
    """
    from actors.opening import break_ground, run_kernel

    policy = read_signed(place.policy_path, place.overlays_path)
    connectors = {name: Nobody() for name in policy.policy.connectors}
    ground = ground or await break_ground(place)
    async with run_kernel(ground, policy=policy, connectors=connectors) as kernel:
        yield kernel


def key_of(tenant: str, principal: str, command: str) -> BearerKey:
    """Return a key for whoever sits at the data directory, and asks in the name of a principal."""
    from actors.keys.bearer import BearerKey, KeyClass
    from helm.crypto.hashing import sha256

    return BearerKey(
        credential_hash=sha256(f"{command} {principal}".encode()),
        created_at_ms=0,
        key_class=KeyClass.TENANT.value,
        principal=principal,
        tenant=tenant,
    )
