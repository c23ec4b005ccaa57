"""The environment's fingerprint: what gate 1 compares with the one taken at boot."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import attrs

import helm
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in

REFRESH_MS = 1000
"""How old a reading may be: looking at the disk for every call would cost more than it tells."""


@attrs.define
class Sensor:
    """Reads version, configuration, platform and the identity of the data directory."""

    data_dir: Path
    config_hash: str
    _read_at_ms: int = -REFRESH_MS
    _last: str = ""

    def fingerprint(self, now_ms: int) -> str:
        """Return the fingerprint, at most REFRESH_MS old; "" where it cannot be taken, which no gate accepts."""
        if not 0 <= now_ms - self._read_at_ms < REFRESH_MS:
            self._last, self._read_at_ms = self.read(), now_ms
        return self._last

    def read(self) -> str:
        """Return the fingerprint as it is now, "" where the data directory cannot be seen."""
        try:
            place = os.stat(self.data_dir)
        except OSError:
            return ""
        body = {
            "config": self.config_hash,
            "data_dir": f"{place.st_dev}:{place.st_ino}",
            "platform": f"{platform.system()}/{platform.machine()}/{platform.python_version()}",
            "version": helm.__version__,
        }
        return hash_in(domains.FINGERPRINT, record_bytes(body))
