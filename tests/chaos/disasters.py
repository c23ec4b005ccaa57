"""Parts that work until they are told to break: they stand where a kernel takes such parts anyway."""

from __future__ import annotations

import attrs

from actors.fingerprint import Sensor
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from tests.actors.kit import HouseClock, InlineIndex


class Disaster(Exception):
    """What breaks an office."""


@attrs.define(eq=False)
class BreakingClock(HouseClock):
    """A clock that breaks at the nth look from now, so that the office that looks then breaks with it."""

    breaks_in: int = 0

    def now_ms(self) -> int:
        """Return POSIX time in milliseconds, or break."""
        if self.breaks_in:
            self.breaks_in -= 1
            if not self.breaks_in:
                raise Disaster("the clock")
        return super().now_ms()


@attrs.define(eq=False)
class BreakingPen:
    """A key that can be taken away."""

    pen: Signer
    broken: bool = False

    @property
    def key_id(self) -> str:
        """The key's name."""
        return self.pen.key_id

    @property
    def purpose(self) -> KeyPurpose:
        """What the key is for."""
        return self.pen.purpose

    @property
    def public_key(self) -> str:
        """The public key in hex."""
        return self.pen.public_key

    def sign(self, domain: bytes, message: bytes) -> str:
        """Sign, or break."""
        if self.broken:
            raise Disaster("the pen")
        return self.pen.sign(domain, message)


@attrs.define(eq=False)
class BreakingSensor(Sensor):
    """A sensor that can be told to break."""

    broken: bool = False

    def fingerprint(self, now_ms: int) -> str:
        """Return the fingerprint, or break."""
        if self.broken:
            raise Disaster("the sensor")
        return super().fingerprint(now_ms)


class BreakingIndex(InlineIndex):
    """An index that can be told to break, while it is noted in or while it is written down."""

    breaks_on_note: bool = False
    breaks_on_flush: bool = False

    def note(self, key: str, seq: int) -> None:
        """Note, or break."""
        if self.breaks_on_note:
            raise Disaster("the index, noted in")
        super().note(key, seq)

    async def flush(self, upto_seq: int) -> None:
        """Write down, or break."""
        if self.breaks_on_flush:
            raise Disaster("the index, written down")
        await super().flush(upto_seq)
