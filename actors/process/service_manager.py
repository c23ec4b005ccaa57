"""The service manager above us: it is told when we decide, read again and end, and hears a beat while the loop turns.

The protocol is sd_notify(3): one datagram of lines to the socket that NOTIFY_SOCKET names. Where nobody asked, nothing
is sent; what cannot be sent is not missed, because no call may ever wait for it.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import attrs
import trio

SEND_S: Final = 1.0
"""How long a word that must not be lost waits for a manager whose queue is full; the others are dropped at once."""

BEATS_PER_WATCH: Final = 3
"""Beats in the time after which silence counts as death: one may come late."""

USEC: Final = re.compile(r"[0-9]{1,16}")
"""A time that can be one: three centuries at most."""

SHORTEST_WATCH_S: Final = 0.1
"""Who wants to hear more often than that would have us do nothing else."""


@attrs.frozen(kw_only=True)
class ServiceManager:
    """Whom to tell, "" for nobody."""

    address: str = ""
    watch_s: float = 0.0
    """How long it bears to hear nothing; 0 for ever."""

    @classmethod
    def of(cls, environment: Mapping[str, str], process_id: int) -> ServiceManager:
        """Return the manager that an environment names. A watch over another process is not ours to keep."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        watched = environment.get("WATCHDOG_PID", str(process_id)) == str(process_id)
        usec = environment.get("WATCHDOG_USEC", "")
        watch_s = int(usec) / 1e6 if watched and USEC.fullmatch(usec) else 0.0
        return cls(address=address, watch_s=max(watch_s, SHORTEST_WATCH_S) if watch_s else 0.0)

    def ready(self, status: str) -> None:
        """Say that calls are judged, or are again after a reload."""
        self._send(f"READY=1\nSTATUS={one_line(status)}", SEND_S)

    def reloading(self) -> None:
        """Say that settings are being read again; `ready` ends it."""
        now_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_usec}", SEND_S)

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1", SEND_S)

    def status(self, line: str) -> None:
        """Say how things stand, in one line for people."""
        self._send(f"STATUS={one_line(line)}", 0)

    async def beat(self) -> None:
        """Say again and again that the loop turns, for as long as anybody watches."""
        while self.address and self.watch_s:
            self._send("WATCHDOG=1", 0)
            await trio.sleep(self.watch_s / BEATS_PER_WATCH)

    def _send(self, said: str, wait_s: float) -> None:
        if not self.address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(wait_s)
            line.sendto(said.encode("utf-8", "replace"), os.fsencode(name_in_system(self.address)))


def one_line(text: str) -> str:
    """Return a text in one line: a second one would be another word to the manager."""
    return " ".join(text.split())


def name_in_system(address: str) -> str:
    """Return an address as the system has it: one that begins with @ is abstract, any other @ is part of a path."""
    return f"\0{address[1:]}" if address.startswith("@") else address
